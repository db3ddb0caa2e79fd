import { sendEmpty } from "../wire/answer.ts";
import { notImplemented } from "../wire/errors.ts";
import type { Operation } from "../wire/request.ts";

export const deleteBucket: Operation = {
  name: "DeleteBucket",
  action: "s3:DeleteBucket",
  bucket: "exists",
  async run(request, { service, settings }) {
    if (settings.rootBucket !== undefined)
      throw notImplemented("This bucket is the whole tree of GlobalFS, and stays while s3.root_bucket names it.");
    await service.deleteBucket(request.ctx, request.bucket);
    sendEmpty(request, 204);
  },
};
