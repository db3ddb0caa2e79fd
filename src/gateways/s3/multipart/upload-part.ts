import { GfsError } from "../../../core/errors.ts";
import { sendEmpty } from "../wire/answer.ts";
import type { Operation } from "../wire/request.ts";
import { partNumberOf, uploadPlace } from "./upload-place.ts";
import { refuseUnkept } from "../objects/write-headers.ts";

const MAX_PART_BYTES = 5 * 1024 ** 3;

export const uploadPart: Operation = {
  name: "UploadPart",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, { service }) {
    const { ctx, body, http } = request;
    const partNumber = partNumberOf(request);
    refuseUnkept(http.headers);
    const { sizeBytes } = body;
    if (sizeBytes === undefined)
      throw new GfsError("LengthRequired", "You must provide the Content-Length HTTP header.", {
        op: "s3.part",
        context: { s3: "MissingContentLength" },
      });
    if (sizeBytes > MAX_PART_BYTES)
      throw new GfsError(
        "TooLarge",
        "Your proposed upload exceeds the maximum allowed size of a part, which is 5 GiB.",
      );
    const part = await service.putPart(ctx, {
      ...uploadPlace(request),
      partNumber,
      sizeBytes,
      body: body.stream({ callerChecks: true }),
      expected: body.expected,
      checksum: () => body.checksum(),
    });
    const checksum = body.checksum();
    sendEmpty(request, 200, [
      "ETag",
      `"${part.etag}"`,
      ...(checksum === undefined ? [] : [`x-amz-checksum-${checksum.algorithm.toLowerCase()}`, checksum.value]),
    ]);
  },
};
