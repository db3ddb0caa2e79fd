import type { UploadPlace } from "../../../coordinator/service/uploads.ts";
import { s3Error } from "../wire/errors.ts";
import type { S3Request } from "../wire/request.ts";

export function uploadPlace({ path, query }: S3Request): UploadPlace {
  return { key: path, uploadId: query.get("uploadId") ?? "" };
}

const MAX_PART_NUMBER = 10_000;

export function partNumberOf({ query }: S3Request): number {
  const text = query.get("partNumber") ?? "";
  const partNumber = Number(text);
  if (!/^\d{1,5}$/.test(text) || partNumber < 1 || partNumber > MAX_PART_NUMBER) {
    throw s3Error(
      "InvalidArgument",
      "InvalidArgument",
      "Part number must be an integer between 1 and 10000, inclusive",
      {
        argumentName: "partNumber",
        argumentValue: text.slice(0, 100),
      },
    );
  }
  return partNumber;
}
