import { sendEmpty, sendXml } from "../../wire/answer.ts";
import type { Operation } from "../../wire/request.ts";
import { readAccessListChange, writeAccessListDocument } from "./access-list-document.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";

export const getBucketAcl: Operation = {
  name: "GetBucketAcl",
  action: "s3:GetBucketAcl",
  bucket: "exists",
  async run(request, deps) {
    const { owner, documents } = bucketOf(request);
    sendXml(request, await writeAccessListDocument(request, deps, { text: documents["acl"], owner }));
  },
};

export const putBucketAcl: Operation = {
  name: "PutBucketAcl",
  action: "s3:PutBucketAcl",
  bucket: "exists",
  async run(request, deps) {
    const acl = await readAccessListChange(request, deps, bucketOf(request).owner);
    await changeBucket(request, deps, { documents: { acl } });
    sendEmpty(request);
  },
};
