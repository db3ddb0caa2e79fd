import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import { element, isoTime } from "../wire/elements.ts";
import { pageSize } from "../listings/page-query.ts";
import { ownerFields } from "../wire/owners.ts";
import type { Operation } from "../wire/request.ts";
import { uploadPlace } from "./upload-place.ts";

export const listParts: Operation = {
  name: "ListParts",
  action: "s3:ListMultipartUploadParts",
  bucket: "exists",
  async run(request, { service }) {
    const { ctx, query, bucket, key, settings } = request;
    const place = uploadPlace(request);
    const limit = pageSize(query, "max-parts");
    const after = markerOf(query.get("part-number-marker"));
    const found = await service.listParts(ctx, { ...place, after, limit: Math.max(1, limit) });
    const { upload } = found;
    const parts = limit === 0 ? [] : found.parts;
    const next = limit === 0 ? undefined : found.next;
    const algorithm = upload.checksum?.algorithm;
    const rows = parts.map(
      ({ partNumber, modifiedMs, etag, sizeBytes, checksum }) =>
        `<Part><PartNumber>${partNumber}</PartNumber><LastModified>${isoTime(modifiedMs)}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size>${algorithm === undefined || checksum === undefined ? "" : `<Checksum${algorithm}>${checksum}</Checksum${algorithm}>`}</Part>`,
    );
    const owner = ownerFields(upload.owner ?? settings?.owner);
    const kind = upload.checksum?.kind === "full" ? "FULL_OBJECT" : "COMPOSITE";
    sendXml(
      request,
      `<ListPartsResult ${S3_NAMESPACE}><Bucket>${escapeXml(bucket)}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${escapeXml(place.uploadId)}</UploadId><PartNumberMarker>${after}</PartNumberMarker>${element("NextPartNumberMarker", String(next ?? parts.at(-1)?.partNumber ?? 0))}<MaxParts>${limit}</MaxParts><IsTruncated>${next !== undefined}</IsTruncated>${element("ChecksumAlgorithm", algorithm)}${element("ChecksumType", algorithm === undefined ? undefined : kind)}${rows.join("")}<Initiator>${owner}</Initiator><Owner>${owner}</Owner><StorageClass>STANDARD</StorageClass></ListPartsResult>`,
    );
  },
};

function markerOf(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw s3Error("InvalidArgument", "InvalidArgument", "part-number-marker must be a whole number.", {
    argumentName: "part-number-marker",
    argumentValue: text.slice(0, 100),
  });
}
