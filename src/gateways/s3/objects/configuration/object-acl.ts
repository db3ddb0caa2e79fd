import type { ObjectMeta } from "../../../../coordinator/service/service.ts";
import { ownershipOf } from "../../../../security/index.ts";
import { sendEmpty, sendXml } from "../../wire/answer.ts";
import type { Operation, S3Request } from "../../wire/request.ts";
import { readAccessListChange, writeAccessListDocument } from "../../buckets/configuration/access-list-document.ts";
import { bucketOf } from "../../buckets/configuration/bucket-change.ts";
import { findVersion, versionHeaders, versionIdOf } from "./object-version.ts";

export const getObjectAcl: Operation = {
  name: "GetObjectAcl",
  action: "s3:GetObjectAcl",
  bucket: "exists",
  async run(request, deps) {
    const meta = await findVersion(request, deps);
    const text = meta.details?.labels?.accessList;
    sendXml(request, await writeAccessListDocument(request, deps, { text, owner: ownerOf(request, meta) }), {
      headers: versionHeaders(request, meta),
    });
  },
};

export const putObjectAcl: Operation = {
  name: "PutObjectAcl",
  action: "s3:PutObjectAcl",
  bucket: "exists",
  async run(request, deps) {
    const found = await findVersion(request, deps);
    const accessList = await readAccessListChange(request, deps, ownerOf(request, found));
    const versionId = versionIdOf(request);
    const meta = await deps.service.changeLabels(request.ctx, request.path, {
      accessList,
      ...(versionId === undefined ? {} : { versionId }),
    });
    sendEmpty(request, 200, versionHeaders(request, meta));
  },
};

/** What came without a user belongs to whom the bucket belongs to. */
function ownerOf(request: S3Request, { details }: ObjectMeta): string | undefined {
  const bucket = bucketOf(request);
  if (ownershipOf(bucket) === "BucketOwnerEnforced") return bucket.owner;
  return details?.owner ?? bucket.owner;
}
