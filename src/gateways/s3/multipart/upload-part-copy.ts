import { S3_NAMESPACE } from "../wire/answer.ts";
import { copySourceOf } from "../objects/copy-source.ts";
import { s3Error } from "../wire/errors.ts";
import { isoTime } from "../wire/elements.ts";
import { answerLong } from "../wire/long-answer.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { partNumberOf, uploadPlace } from "./upload-place.ts";
import { refuseUnkept } from "../objects/write-headers.ts";

export const uploadPartCopy: Operation = {
  name: "UploadPartCopy",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, http } = request;
    const partNumber = partNumberOf(request);
    refuseUnkept(http.headers);
    const place = uploadPlace(request);
    const range = copyRange(request);
    const upload = await deps.service.findUpload(ctx, place);
    const from = await copySourceOf(request, deps);
    await answerLong(request, deps, async () => {
      const part = await deps.service.copyPart(ctx, {
        ...place,
        partNumber,
        from,
        ...(range === undefined ? {} : { range }),
      });
      const algorithm = upload.checksum?.algorithm;
      const checksum =
        algorithm === undefined || part.checksum === undefined
          ? ""
          : `<Checksum${algorithm}>${part.checksum}</Checksum${algorithm}>`;
      return {
        document: `<CopyPartResult ${S3_NAMESPACE}><LastModified>${isoTime(part.modifiedMs)}</LastModified><ETag>&quot;${part.etag}&quot;</ETag>${checksum}</CopyPartResult>`,
        headers: from.versionId === undefined ? [] : ["x-amz-copy-source-version-id", from.versionId],
      };
    });
  },
};

function copyRange({ http }: S3Request): { readonly start: number; readonly end: number } | undefined {
  const header = http.headers["x-amz-copy-source-range"];
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(String(header));
  const start = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (match === null || last < start) {
    throw s3Error(
      "InvalidArgument",
      "InvalidArgument",
      "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
      { argumentName: "x-amz-copy-source-range", argumentValue: String(header).slice(0, 100) },
    );
  }
  return { start, end: last + 1 };
}
