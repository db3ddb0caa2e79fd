import { childrenNamed, childText, escapeXml, type XmlElement } from "../../../core/xml.ts";
import type { CompleteUpload } from "../../../coordinator/service/uploads.ts";
import { S3_NAMESPACE } from "../wire/answer.ts";
import { malformedXml, readDocument } from "../wire/documents.ts";
import { expirationHeaders } from "../objects/expiration-header.ts";
import { s3Error } from "../wire/errors.ts";
import { answerLong } from "../wire/long-answer.ts";
import { checksumXml, pendingHeaders, writtenVersionId } from "../objects/object-headers.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { locationOf } from "../wire/location.ts";
import { uploadPlace } from "./upload-place.ts";
import { statedChecksum, writeConditions } from "../objects/write-headers.ts";

const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
const MAX_PARTS = 10_000;

export const completeMultipartUpload: Operation = {
  name: "CompleteMultipartUpload",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, http, bucket, key, settings, body } = request;
    const document = await readDocument(body, {
      root: "CompleteMultipartUpload",
      limitBytes: MAX_DOCUMENT_BYTES,
    });
    const parts = partsOf(document);
    const sizeBytes = sizeOf(request);
    const checksum = statedChecksum(http.headers)?.value;
    await answerLong(request, deps, async () => {
      const { meta, pendingSites } = await deps.service.completeUpload(ctx, {
        ...uploadPlace(request),
        parts,
        ...writeConditions(http.headers),
        ...(checksum === undefined ? {} : { checksum }),
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
      });
      const versionId = writtenVersionId(meta, settings);
      const kept = meta.details?.checksum;
      return {
        document: `<CompleteMultipartUploadResult ${S3_NAMESPACE}><Location>${escapeXml(locationOf(request))}</Location><Bucket>${escapeXml(bucket)}</Bucket><Key>${escapeXml(key)}</Key><ETag>&quot;${meta.etag}&quot;</ETag>${kept === undefined ? "" : checksumXml(kept)}</CompleteMultipartUploadResult>`,
        headers: [
          ...(versionId === undefined ? [] : ["x-amz-version-id", versionId]),
          ...expirationHeaders(request, meta),
          ...pendingHeaders(pendingSites),
        ],
      };
    });
  },
};

function partsOf(document: XmlElement | undefined): CompleteUpload["parts"] {
  const parts = document === undefined ? [] : childrenNamed(document, "Part");
  if (parts.length === 0 || parts.length > MAX_PARTS)
    throw malformedXml(`names ${parts.length} parts; an upload is completed from 1 to ${MAX_PARTS}`);
  return parts.map((part) => {
    const number = childText(part, "PartNumber")?.trim() ?? "";
    const etag = childText(part, "ETag")?.trim().replaceAll('"', "");
    if (!/^\d{1,9}$/.test(number) || etag === undefined)
      throw malformedXml("holds a Part without a PartNumber or ETag");
    const checksum = part.children.find(({ name }) => name.startsWith("Checksum"))?.text.trim();
    return { partNumber: Number(number), etag, ...(checksum === undefined ? {} : { checksum }) };
  });
}

function sizeOf({ http }: S3Request): number | undefined {
  const header = http.headers["x-amz-mp-object-size"];
  if (header === undefined) return undefined;
  if (/^\d{1,15}$/.test(String(header))) return Number(header);
  throw s3Error("InvalidArgument", "InvalidRequest", "Value for x-amz-mp-object-size header is invalid.", {
    argumentName: "x-amz-mp-object-size",
  });
}
