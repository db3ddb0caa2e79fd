import { sendEmpty } from "../wire/answer.ts";
import type { Operation } from "../wire/request.ts";

export const headBucket: Operation = {
  name: "HeadBucket",
  action: "s3:ListBucket",
  bucket: "exists",
  run(request, { settings }) {
    sendEmpty(request, 200, ["x-amz-bucket-region", settings.region, "x-amz-access-point-alias", "false"]);
    return Promise.resolve();
  },
};
