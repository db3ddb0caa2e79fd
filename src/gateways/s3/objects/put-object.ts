import type { ObjectMeta } from "../../../coordinator/service/objects.ts";
import { sendEmpty } from "../wire/answer.ts";
import { expirationHeaders } from "./expiration-header.ts";
import { checksumHeaders, pendingHeaders, writtenVersionId } from "./object-headers.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { attributesOf, writeConditions } from "./write-headers.ts";

export const putObject: Operation = {
  name: "PutObject",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, { service }) {
    const { ctx, body, path, http } = request;
    const { sizeBytes } = body;
    const { meta, pendingSites } = await service.putObject(ctx, {
      key: path,
      body: body.stream({ callerChecks: true }),
      // A body of unknown length comes in chunks of HTTP's own; one that says nothing at all is refused by `stream`.
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      md5Etag: true,
      expected: body.expected,
      checksum: () => body.checksum(),
      ...attributesOf(request),
      ...writeConditions(http.headers),
    });
    sendEmpty(request, 200, [...writtenHeaders(request, meta), ...pendingHeaders(pendingSites)]);
  },
};

export function writtenHeaders(request: Pick<S3Request, "settings" | "key" | "query">, meta: ObjectMeta): string[] {
  const versionId = writtenVersionId(meta, request.settings);
  const checksum = meta.details?.checksum;
  return [
    "ETag",
    `"${meta.etag}"`,
    ...(versionId === undefined ? [] : ["x-amz-version-id", versionId]),
    ...(checksum === undefined ? [] : checksumHeaders(checksum)),
    ...expirationHeaders(request, meta),
  ];
}
