import { escapeXml } from "../../../core/xml.ts";
import { S3_NAMESPACE, sendXml } from "../wire/answer.ts";
import { s3Error } from "../wire/errors.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { attributesOf, checksumAlgorithm } from "../objects/write-headers.ts";
import type { CreateUpload } from "../../../coordinator/service/uploads.ts";

export const createMultipartUpload: Operation = {
  name: "CreateMultipartUpload",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, { service }) {
    const { ctx, path, bucket, key } = request;
    const checksum = checksumOf(request);
    const { uploadId } = await service.createUpload(ctx, {
      key: path,
      ...attributesOf(request),
      ...(checksum === undefined ? {} : { checksum }),
    });
    sendXml(
      request,
      `<InitiateMultipartUploadResult ${S3_NAMESPACE}><Bucket>${escapeXml(bucket)}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${escapeXml(uploadId)}</UploadId></InitiateMultipartUploadResult>`,
      {
        headers:
          checksum === undefined
            ? []
            : [
                "x-amz-checksum-algorithm",
                checksum.algorithm,
                "x-amz-checksum-type",
                checksum.kind === "full" ? "FULL_OBJECT" : "COMPOSITE",
              ],
      },
    );
  },
};

/** As S3 has it: CRC64NVME is of all bytes, SHA of the parts' sums, and the two other CRCs may be either, of the parts unless said otherwise. */
function checksumOf({ http }: S3Request): CreateUpload["checksum"] {
  const { headers } = http;
  const algorithm = checksumAlgorithm(headers["x-amz-checksum-algorithm"], "x-amz-checksum-algorithm");
  const type = headers["x-amz-checksum-type"];
  if (type !== undefined && type !== "COMPOSITE" && type !== "FULL_OBJECT") {
    throw s3Error("InvalidArgument", "InvalidRequest", "Value for x-amz-checksum-type header is invalid.", {
      argumentName: "x-amz-checksum-type",
      argumentValue: String(type).slice(0, 100),
    });
  }
  if (algorithm === undefined) {
    if (type === undefined) return undefined;
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
    );
  }
  const kind =
    type === undefined
      ? algorithm === "CRC64NVME"
        ? "full"
        : "composite"
      : type === "FULL_OBJECT"
        ? "full"
        : "composite";
  const impossible =
    (kind === "full" && algorithm.startsWith("SHA")) || (kind === "composite" && algorithm === "CRC64NVME");
  if (impossible) {
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      `The ${type ?? "default"} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
  }
  return { algorithm, kind };
}
