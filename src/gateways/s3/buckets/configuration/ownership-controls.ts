import { childrenNamed } from "../../../../core/xml.ts";
import { OWNERSHIPS, ownershipOf } from "../../../../security/index.ts";
import { refuseListWithEnforcement } from "../../access/ownership.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { allowOnly, malformedXml, oneOf, readConfiguration, requiredText } from "../../wire/documents.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";

export const getBucketOwnershipControls: Operation = {
  name: "GetBucketOwnershipControls",
  action: "s3:GetBucketOwnershipControls",
  bucket: "exists",
  async run(request) {
    const ownership = ownershipOf(bucketOf(request));
    if (ownership === undefined) {
      throw s3Error("NotFound", "OwnershipControlsNotFoundError", "The bucket ownership controls were not found.");
    }
    sendXml(
      request,
      `<OwnershipControls ${S3_NAMESPACE}><Rule><ObjectOwnership>${ownership}</ObjectOwnership></Rule></OwnershipControls>`,
    );
  },
};

export const putBucketOwnershipControls: Operation = {
  name: "PutBucketOwnershipControls",
  action: "s3:PutBucketOwnershipControls",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "OwnershipControls");
    allowOnly(document, ["Rule"]);
    const [rule, ...others] = childrenNamed(document, "Rule");
    if (rule === undefined || others.length > 0) throw malformedXml("needs one Rule");
    allowOnly(rule, ["ObjectOwnership"]);
    const ownership = oneOf(requiredText(rule, "ObjectOwnership"), OWNERSHIPS, "ObjectOwnership");
    if (ownership === "BucketOwnerEnforced") refuseListWithEnforcement(bucketOf(request));
    await changeBucket(request, deps, { documents: { ownership } });
    sendEmpty(request);
  },
};

export const deleteBucketOwnershipControls: Operation = {
  name: "DeleteBucketOwnershipControls",
  action: "s3:PutBucketOwnershipControls",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { documents: { ownership: null } });
    sendEmpty(request, 204);
  },
};
