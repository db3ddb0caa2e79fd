import { sendEmpty } from "../wire/answer.ts";
import type { Operation } from "../wire/request.ts";
import { uploadPlace } from "./upload-place.ts";

export const abortMultipartUpload: Operation = {
  name: "AbortMultipartUpload",
  action: "s3:AbortMultipartUpload",
  bucket: "exists",
  async run(request, { service }) {
    await service.abortUpload(request.ctx, uploadPlace(request));
    sendEmpty(request, 204);
  },
};
