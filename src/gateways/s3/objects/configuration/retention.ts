import type { XmlElement } from "../../../../core/xml.ts";
import type { Retention } from "../../../../namespace/types.ts";
import { asksBypass } from "../../access/index.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { allowOnly, dateOf, malformedXml, oneOf, readConfiguration, requiredText } from "../../wire/documents.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation, S3Request } from "../../wire/request.ts";
import { bucketOf } from "../../buckets/configuration/bucket-change.ts";
import { findVersion, versionHeaders, versionIdOf } from "./object-version.ts";

export const getObjectRetention: Operation = {
  name: "GetObjectRetention",
  action: "s3:GetObjectRetention",
  bucket: "exists",
  async run(request, deps) {
    requireObjectLock(request);
    const meta = await findVersion(request, deps);
    const retention = meta.details?.labels?.lock?.retention;
    if (retention === undefined) {
      throw s3Error("NotFound", "NoSuchObjectLockConfiguration", "The specified object does not have a retention.");
    }
    sendXml(
      request,
      `<Retention ${S3_NAMESPACE}><Mode>${retention.mode.toUpperCase()}</Mode><RetainUntilDate>${new Date(retention.untilMs).toISOString()}</RetainUntilDate></Retention>`,
      { headers: versionHeaders(request, meta) },
    );
  },
};

export const putObjectRetention: Operation = {
  name: "PutObjectRetention",
  action: "s3:PutObjectRetention",
  bucket: "exists",
  async run(request, { service, clock }) {
    requireObjectLock(request);
    const retention = readRetention(await readConfiguration(request, "Retention"));
    if (retention !== null && retention.untilMs <= clock.nowMs()) {
      throw s3Error("InvalidArgument", "InvalidArgument", "The retain until date must be in the future.");
    }
    const versionId = versionIdOf(request);
    const meta = await service.changeLabels(request.ctx, request.path, {
      retention,
      ...(versionId === undefined ? {} : { versionId }),
      // Access has checked that the caller may.
      ...(asksBypass(request) ? { bypassGovernance: true } : {}),
    });
    sendEmpty(request, 200, versionHeaders(request, meta));
  },
};

/** An empty document takes the retention away. */
function readRetention(document: XmlElement): Retention | null {
  allowOnly(document, ["Mode", "RetainUntilDate"]);
  if (document.children.length === 0) return null;
  const mode = oneOf(requiredText(document, "Mode"), ["GOVERNANCE", "COMPLIANCE"], "Mode");
  const untilMs = dateOf(requiredText(document, "RetainUntilDate"));
  if (untilMs === undefined) throw malformedXml("has a RetainUntilDate that is no ISO 8601 date");
  return { mode: mode === "GOVERNANCE" ? "governance" : "compliance", untilMs };
}

export function requireObjectLock(request: S3Request): void {
  if (bucketOf(request).objectLock) return;
  throw s3Error("InvalidArgument", "InvalidRequest", "Bucket is missing Object Lock Configuration.");
}
