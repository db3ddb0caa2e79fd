import { type PublicAccessBlock, publicAccessBlockOf } from "../../../../security/index.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";
import { allowOnly, booleanOf, readConfiguration, textOf } from "../../wire/documents.ts";

const ELEMENTS: readonly (readonly [string, keyof PublicAccessBlock])[] = [
  ["BlockPublicAcls", "blockPublicAcls"],
  ["IgnorePublicAcls", "ignorePublicAcls"],
  ["BlockPublicPolicy", "blockPublicPolicy"],
  ["RestrictPublicBuckets", "restrictPublicBuckets"],
];

export const getPublicAccessBlock: Operation = {
  name: "GetPublicAccessBlock",
  action: "s3:GetBucketPublicAccessBlock",
  bucket: "exists",
  async run(request) {
    const bucket = bucketOf(request);
    if (bucket.documents["publicAccessBlock"] === undefined) {
      throw s3Error(
        "NotFound",
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found.",
      );
    }
    const block = publicAccessBlockOf(bucket);
    const fields = ELEMENTS.map(([element, field]) => `<${element}>${block[field]}</${element}>`).join("");
    sendXml(request, `<PublicAccessBlockConfiguration ${S3_NAMESPACE}>${fields}</PublicAccessBlockConfiguration>`);
  },
};

export const putPublicAccessBlock: Operation = {
  name: "PutPublicAccessBlock",
  action: "s3:PutBucketPublicAccessBlock",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "PublicAccessBlockConfiguration");
    allowOnly(
      document,
      ELEMENTS.map(([element]) => element),
    );
    const block = Object.fromEntries(
      ELEMENTS.map(([element, field]) => [field, booleanOf(textOf(document, element) ?? "false", element)]),
    );
    await changeBucket(request, deps, { documents: { publicAccessBlock: JSON.stringify(block) } });
    sendEmpty(request);
  },
};

export const deletePublicAccessBlock: Operation = {
  name: "DeletePublicAccessBlock",
  action: "s3:PutBucketPublicAccessBlock",
  bucket: "exists",
  async run(request, deps) {
    await changeBucket(request, deps, { documents: { publicAccessBlock: null } });
    sendEmpty(request, 204);
  },
};
