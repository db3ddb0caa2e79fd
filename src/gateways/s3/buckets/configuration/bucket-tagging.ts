import { sendEmpty, sendXml } from "../../wire/answer.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";
import { readTagging, type Tags, writeTagging } from "../../objects/tag-set.ts";
import { readConfiguration } from "../../wire/documents.ts";

const MAX_BUCKET_TAGS = 50;

export const getBucketTagging: Operation = {
  name: "GetBucketTagging",
  action: "s3:GetBucketTagging",
  bucket: "exists",
  async run(request) {
    const text = bucketOf(request).documents["tagging"];
    if (text === undefined) throw s3Error("NotFound", "NoSuchTagSet", "The TagSet does not exist.");
    sendXml(request, writeTagging(JSON.parse(text) as Tags));
  },
};

export const putBucketTagging: Operation = {
  name: "PutBucketTagging",
  action: "s3:PutBucketTagging",
  bucket: "exists",
  async run(request, deps) {
    const tags = readTagging(await readConfiguration(request, "Tagging"), { maxTags: MAX_BUCKET_TAGS });
    const none = Object.keys(tags).length === 0;
    await changeBucket(request, deps, { documents: { tagging: none ? null : JSON.stringify(tags) } });
    sendEmpty(request, 204);
  },
};

export const deleteBucketTagging: Operation = {
  name: "DeleteBucketTagging",
  action: "s3:PutBucketTagging",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { documents: { tagging: null } });
    sendEmpty(request, 204);
  },
};
