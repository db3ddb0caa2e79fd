import { GfsError } from "../../../../core/errors.ts";
import {
  accessListOf,
  isPublicList,
  isPublicPolicy,
  ownershipOf,
  parsePolicy,
  policyOf,
  publicAccessBlockOf,
} from "../../../../security/index.ts";
import { identifying, S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";
import { MAX_CONFIGURATION_BYTES } from "../../wire/documents.ts";

export const getBucketPolicy: Operation = {
  name: "GetBucketPolicy",
  action: "s3:GetBucketPolicy",
  bucket: "exists",
  async run(request) {
    const text = bucketOf(request).documents["policy"];
    if (text === undefined) throw s3Error("NotFound", "NoSuchBucketPolicy", "The bucket policy does not exist.");
    const { ctx, response } = request;
    response.writeHead(200, [
      ...identifying(ctx),
      "Content-Type",
      "application/json",
      "Content-Length",
      String(Buffer.byteLength(text)),
    ]);
    response.end(text);
  },
};

export const putBucketPolicy: Operation = {
  name: "PutBucketPolicy",
  action: "s3:PutBucketPolicy",
  bucket: "exists",
  async run(request, deps) {
    const text = (await request.body.readAll(MAX_CONFIGURATION_BYTES)).toString("utf8");
    const policy = parsePolicy(text, request.bucket);
    if (publicAccessBlockOf(bucketOf(request)).blockPublicPolicy && isPublicPolicy(policy)) {
      throw new GfsError("PermissionDenied", "Public policies are blocked in this bucket.", { op: "s3.policy" });
    }
    await changeBucket(request, deps, { documents: { policy: text } });
    sendEmpty(request, 204);
  },
};

export const deleteBucketPolicy: Operation = {
  name: "DeleteBucketPolicy",
  action: "s3:DeleteBucketPolicy",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { documents: { policy: null } });
    sendEmpty(request, 204);
  },
};

/** Whether the policy or the access list lets in people whom nobody named. */
export const getBucketPolicyStatus: Operation = {
  name: "GetBucketPolicyStatus",
  action: "s3:GetBucketPolicyStatus",
  bucket: "exists",
  async run(request) {
    const bucket = bucketOf(request);
    const block = publicAccessBlockOf(bucket);
    const policy = policyOf(bucket);
    const byPolicy =
      policy !== undefined && policy !== "unreadable" && !block.restrictPublicBuckets && isPublicPolicy(policy);
    const byList =
      !block.ignorePublicAcls && ownershipOf(bucket) !== "BucketOwnerEnforced" && isPublicList(accessListOf(bucket));
    sendXml(request, `<PolicyStatus ${S3_NAMESPACE}><IsPublic>${byPolicy || byList}</IsPublic></PolicyStatus>`);
  },
};
