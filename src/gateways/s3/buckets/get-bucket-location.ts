import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import type { Operation } from "../wire/request.ts";

export const getBucketLocation: Operation = {
  name: "GetBucketLocation",
  action: "s3:GetBucketLocation",
  bucket: "exists",
  run(request, { settings }) {
    // The first region of S3 has no name in this answer.
    const region = settings.region === "us-east-1" ? "" : settings.region;
    sendXml(request, `<LocationConstraint ${S3_NAMESPACE}>${region}</LocationConstraint>`);
    return Promise.resolve();
  },
};
