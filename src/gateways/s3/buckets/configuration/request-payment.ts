import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { notImplemented } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { allowOnly, oneOf, readConfiguration, requiredText } from "../../wire/documents.ts";

export const getBucketRequestPayment: Operation = {
  name: "GetBucketRequestPayment",
  action: "s3:GetBucketRequestPayment",
  bucket: "exists",
  async run(request) {
    sendXml(
      request,
      `<RequestPaymentConfiguration ${S3_NAMESPACE}><Payer>BucketOwner</Payer></RequestPaymentConfiguration>`,
    );
  },
};

export const putBucketRequestPayment: Operation = {
  name: "PutBucketRequestPayment",
  action: "s3:PutBucketRequestPayment",
  bucket: "exists",
  async run(request) {
    const document = await readConfiguration(request, "RequestPaymentConfiguration");
    allowOnly(document, ["Payer"]);
    const payer = oneOf(requiredText(document, "Payer"), ["BucketOwner", "Requester"], "Payer");
    if (payer === "Requester") throw notImplemented("Nobody is billed here, so requesters cannot pay.");
    sendEmpty(request);
  },
};
