import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import type { Operation } from "../../wire/request.ts";
import { findVersion, versionHeaders, versionIdOf } from "./object-version.ts";
import { requireObjectLock } from "./retention.ts";
import { allowOnly, oneOf, readConfiguration, requiredText } from "../../wire/documents.ts";

export const getObjectLegalHold: Operation = {
  name: "GetObjectLegalHold",
  action: "s3:GetObjectLegalHold",
  bucket: "exists",
  async run(request, deps) {
    requireObjectLock(request);
    const meta = await findVersion(request, deps);
    const status = meta.details?.labels?.lock?.legalHold === true ? "ON" : "OFF";
    sendXml(request, `<LegalHold ${S3_NAMESPACE}><Status>${status}</Status></LegalHold>`, {
      headers: versionHeaders(request, meta),
    });
  },
};

export const putObjectLegalHold: Operation = {
  name: "PutObjectLegalHold",
  action: "s3:PutObjectLegalHold",
  bucket: "exists",
  async run(request, { service }) {
    requireObjectLock(request);
    const document = await readConfiguration(request, "LegalHold");
    allowOnly(document, ["Status"]);
    const legalHold = oneOf(requiredText(document, "Status"), ["ON", "OFF"], "Status") === "ON";
    const versionId = versionIdOf(request);
    const meta = await service.changeLabels(request.ctx, request.path, {
      legalHold,
      ...(versionId === undefined ? {} : { versionId }),
    });
    sendEmpty(request, 200, versionHeaders(request, meta));
  },
};
