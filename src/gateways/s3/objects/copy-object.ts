import type { CopyObject } from "../../../coordinator/service/uploads.ts";
import { S3_NAMESPACE } from "../wire/answer.ts";
import { copySourceOf } from "./copy-source.ts";
import { expirationHeaders } from "./expiration-header.ts";
import { s3Error } from "../wire/errors.ts";
import { isoTime } from "../wire/elements.ts";
import { answerLong } from "../wire/long-answer.ts";
import { checksumXml, pendingHeaders, shownVersionId } from "./object-headers.ts";
import type { Operation, S3Request } from "../wire/request.ts";
import { attributesOf, checksumAlgorithm, writeConditions } from "./write-headers.ts";

export const copyObject: Operation = {
  name: "CopyObject",
  action: "s3:PutObject",
  bucket: "exists",
  async run(request, deps) {
    const { ctx, path, http, settings } = request;
    const { headers } = http;
    const from = await copySourceOf(request, deps);
    const attributes = attributesOf(request);
    const replacesMetadata = directive(headers["x-amz-metadata-directive"], "x-amz-metadata-directive");
    const replacesTags = directive(headers["x-amz-tagging-directive"], "x-amz-tagging-directive");
    const algorithm = checksumAlgorithm(headers["x-amz-checksum-algorithm"], "x-amz-checksum-algorithm");
    if (from.key === path && from.versionId === undefined && !replacesMetadata && !changesSomething(request)) {
      throw s3Error(
        "InvalidArgument",
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
      );
    }
    const { labels, metadata, contentType, contentHeaders, owner } = attributes;
    const copy: CopyObject = {
      from,
      key: path,
      ...writeConditions(headers),
      ...(replacesMetadata
        ? {
            replace: {
              metadata,
              ...(contentType === undefined ? {} : { contentType }),
              ...(contentHeaders === undefined ? {} : { contentHeaders }),
            },
          }
        : {}),
      ...(replacesTags ? { tags: labels?.tags ?? {} } : {}),
      ...(labels?.accessList === undefined ? {} : { accessList: labels.accessList }),
      ...(labels?.lock === undefined ? {} : { lock: labels.lock }),
      ...(owner === undefined ? {} : { owner }),
      ...(algorithm === undefined ? {} : { checksumAlgorithm: algorithm }),
    };
    await answerLong(request, deps, async () => {
      const { meta, source, pendingSites } = await deps.service.copyObject(ctx, copy);
      const checksum = meta.details?.checksum;
      const versionId = shownVersionId(meta, settings);
      const sourceVersion = source.details?.versioned === true ? source.versionId : from.versionId;
      return {
        document: `<CopyObjectResult ${S3_NAMESPACE}><LastModified>${isoTime(meta.modifiedMs)}</LastModified><ETag>&quot;${meta.etag}&quot;</ETag>${checksum === undefined ? "" : checksumXml(checksum)}</CopyObjectResult>`,
        headers: [
          ...(versionId === undefined ? [] : ["x-amz-version-id", versionId]),
          ...(sourceVersion === undefined ? [] : ["x-amz-copy-source-version-id", sourceVersion]),
          ...expirationHeaders(request, meta),
          ...pendingHeaders(pendingSites),
        ],
      };
    });
  },
};

function directive(value: string | string[] | undefined, name: string): boolean {
  if (value === undefined || value === "COPY") return false;
  if (value === "REPLACE") return true;
  throw s3Error(
    "InvalidArgument",
    "InvalidArgument",
    `Unknown ${name === "x-amz-metadata-directive" ? "metadata" : "tagging"} directive.`,
    {
      argumentName: name,
      argumentValue: String(value).slice(0, 100),
    },
  );
}

function changesSomething({ http }: S3Request): boolean {
  return (
    http.headers["x-amz-storage-class"] !== undefined || http.headers["x-amz-website-redirect-location"] !== undefined
  );
}
