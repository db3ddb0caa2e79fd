import type { IncomingHttpHeaders } from "node:http";
import type { Conditions } from "../../../coordinator/service/objects.ts";
import type { CopySource } from "../../../coordinator/service/uploads.ts";
import { isGfsError } from "../../../core/errors.ts";
import { parseEtags, parseHttpDate } from "../../http/index.ts";
import { s3Error } from "../wire/errors.ts";
import { pathIn } from "../buckets/key-space.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";

export interface NamedSource {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
}

/** `x-amz-copy-source`: `bucket/key`, with or without a leading slash, percent-encoded, and perhaps `?versionId=`. */
export function parseCopySource(header: string | string[] | undefined): NamedSource {
  const text = String(header).replace(/^\//, "");
  const mark = text.search(/\?versionId=/);
  const place = decode(mark === -1 ? text : text.slice(0, mark)).replace(/^\//, "");
  const versionId = mark === -1 ? undefined : text.slice(mark + "?versionId=".length);
  const slash = place.indexOf("/");
  const bucket = place.slice(0, Math.max(slash, 0));
  const key = place.slice(slash + 1);
  if (bucket === "" || key === "" || versionId === "") throw unreadable();
  return { bucket, key, ...(versionId === undefined ? {} : { versionId }) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable();
  }
}

function unreadable(): Error {
  return s3Error(
    "InvalidArgument",
    "InvalidArgument",
    "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
    { argumentName: "x-amz-copy-source" },
  );
}

/** The source as the service takes it. A bucket that is not there is told from a key that is not. */
export async function copySourceOf(request: S3Request, deps: S3Deps): Promise<CopySource> {
  const { http } = request;
  const { service, settings } = deps;
  const named = parseCopySource(http.headers["x-amz-copy-source"]);
  const known =
    settings.rootBucket === undefined
      ? (service.peekBucket(named.bucket) ?? (await findBucket(request, deps, named.bucket)))
      : named.bucket === settings.rootBucket;
  if (known === undefined || known === false)
    throw s3Error("NotFound", "NoSuchBucket", "The specified source bucket does not exist.");
  const conditions = copyConditions(http.headers);
  return {
    key: pathIn(settings, named.bucket, named.key),
    ...(named.versionId === undefined ? {} : { versionId: named.versionId }),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

async function findBucket({ ctx }: S3Request, { service }: S3Deps, name: string): Promise<unknown> {
  try {
    return await service.findBucket(ctx, name);
  } catch (error) {
    if (isGfsError(error, "InvalidKey", "KeyTooLong")) return undefined;
    throw error;
  }
}

function copyConditions(headers: IncomingHttpHeaders): Conditions | undefined {
  const one = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(",") : value;
  };
  const found = {
    ifMatch: parseEtags(one("x-amz-copy-source-if-match"), "x-amz-copy-source-if-match", "skip"),
    ifNoneMatch: parseEtags(one("x-amz-copy-source-if-none-match"), "x-amz-copy-source-if-none-match", "match"),
    ifModifiedSinceMs: parseHttpDate(one("x-amz-copy-source-if-modified-since")),
    ifUnmodifiedSinceMs: parseHttpDate(one("x-amz-copy-source-if-unmodified-since")),
  };
  const entries = Object.entries(found).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
