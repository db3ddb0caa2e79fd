import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { notImplemented, s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";
import { allowOnly, oneOf, readConfiguration, requiredText, textOf } from "../../wire/documents.ts";

export const getBucketVersioning: Operation = {
  name: "GetBucketVersioning",
  action: "s3:GetBucketVersioning",
  bucket: "exists",
  async run(request) {
    const { versioning } = bucketOf(request);
    const status = versioning === "off" ? "" : `<Status>${versioning === "enabled" ? "Enabled" : "Suspended"}</Status>`;
    sendXml(request, `<VersioningConfiguration ${S3_NAMESPACE}>${status}</VersioningConfiguration>`);
  },
};

export const putBucketVersioning: Operation = {
  name: "PutBucketVersioning",
  action: "s3:PutBucketVersioning",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "VersioningConfiguration");
    allowOnly(document, ["Status", "MfaDelete"]);
    const status = oneOf(requiredText(document, "Status"), ["Enabled", "Suspended"], "Status");
    if (oneOf(textOf(document, "MfaDelete") ?? "Disabled", ["Enabled", "Disabled"], "MfaDelete") === "Enabled") {
      throw notImplemented(
        "Deleting with a second factor is not implemented; object lock keeps versions from deletion.",
      );
    }
    if (status === "Suspended" && bucketOf(request).objectLock) {
      throw s3Error(
        "Conflict",
        "InvalidBucketState",
        "The versioning of a bucket with object lock cannot be suspended.",
      );
    }
    await changeBucket(request, deps, { versioning: status === "Enabled" ? "enabled" : "suspended" });
    sendEmpty(request);
  },
};
