/** Reading objects: head, and get as a stream whose end is checked. */
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { ByteRange, ETag, GetOptions, ObjectBody, ObjectInfo, WriteConditions } from "../../store.ts";
import { discardBody, type ResponseHeaders, type S3Client, type S3Response } from "./client.ts";
import { fromTransport } from "./failures.ts";
import { readMetadata } from "./metadata.ts";

/** What S3 says of objects that were written without a content type. */
const NO_CONTENT_TYPE = "binary/octet-stream";

export async function headObject(client: S3Client, ctx: Ctx, key: string, fullKey: string): Promise<ObjectInfo> {
  const response = await client.send(ctx, { op: "s3.head", method: "HEAD", key: fullKey });
  await discardBody(ctx, response, "s3.head");
  return infoFrom(key, response.headers, Number(header(response.headers, "content-length")));
}

export async function getObject(
  client: S3Client,
  ctx: Ctx,
  keys: { readonly key: string; readonly fullKey: string },
  options: GetOptions,
): Promise<ObjectBody> {
  const headers: Record<string, string> = {};
  if (options.range !== undefined) headers["range"] = rangeHeader(options.range);
  if (options.ifMatch !== undefined) headers["if-match"] = quoteEtag(options.ifMatch);
  const response = await client.send(ctx, { op: "s3.get", method: "GET", key: keys.fullKey, headers });
  try {
    const { start, end, sizeBytes } = extent(response, options.range);
    return bodyOf(ctx, response, infoFrom(keys.key, response.headers, sizeBytes), { start, end });
  } catch (error) {
    abandon(response);
    throw error;
  }
}

export function infoFrom(key: string, headers: ResponseHeaders, sizeBytes: number): ObjectInfo {
  const contentType = header(headers, "content-type");
  return {
    key,
    sizeBytes,
    etag: bareEtag(header(headers, "etag") ?? ""),
    modifiedMs: Date.parse(header(headers, "last-modified") ?? header(headers, "date") ?? "") || 0,
    ...(contentType === undefined || contentType === "" || contentType === NO_CONTENT_TYPE ? {} : { contentType }),
    ...readMetadata(headers),
  };
}

export function bareEtag(etag: string): ETag {
  return etag.startsWith('"') && etag.endsWith('"') ? etag.slice(1, -1) : etag;
}

export function quoteEtag(etag: ETag): string {
  return `"${etag}"`;
}

/** `bare` leaves the quotes off an entity tag, for the endpoints that compare it with them on. */
export function conditionHeaders(conditions: WriteConditions | undefined, bare = false): Record<string, string> {
  const headers: Record<string, string> = {};
  if (conditions?.ifMatch !== undefined)
    headers["if-match"] = bare ? conditions.ifMatch : quoteEtag(conditions.ifMatch);
  if (conditions?.ifNoneMatch !== undefined) headers["if-none-match"] = conditions.ifNoneMatch;
  return headers;
}

export function header(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function rangeHeader(range: ByteRange): string {
  if ("suffix" in range) {
    if (range.suffix <= 0) throw unsatisfiable();
    return `bytes=-${range.suffix}`;
  }
  if (range.start < 0 || (range.end !== undefined && range.end <= range.start)) throw unsatisfiable();
  return `bytes=${range.start}-${range.end === undefined ? "" : range.end - 1}`;
}

function extent(
  response: S3Response,
  range: ByteRange | undefined,
): { readonly start: number; readonly end: number; readonly sizeBytes: number } {
  const lengthBytes = Number(header(response.headers, "content-length"));
  if (response.status === 206) {
    const parsed = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header(response.headers, "content-range") ?? "");
    if (parsed === null)
      throw new GfsError("Unavailable", "The S3 endpoint does not say which range it sends.", { op: "s3.get" });
    return { start: Number(parsed[1]), end: Number(parsed[2]) + 1, sizeBytes: Number(parsed[3]) };
  }
  if (!Number.isSafeInteger(lengthBytes)) {
    throw new GfsError("Unavailable", "The S3 endpoint does not say how long the object is.", { op: "s3.get" });
  }
  if (range !== undefined && lengthBytes === 0) throw unsatisfiable();
  const asksForAll =
    range === undefined ||
    ("suffix" in range ? range.suffix >= lengthBytes : range.start === 0 && (range.end ?? lengthBytes) >= lengthBytes);
  if (!asksForAll) throw new GfsError("Unsupported", "The S3 endpoint ignores ranges.", { op: "s3.get" });
  return { start: 0, end: lengthBytes, sizeBytes: lengthBytes };
}

function bodyOf(
  ctx: Ctx,
  response: S3Response,
  info: ObjectInfo,
  span: { readonly start: number; readonly end: number },
): ObjectBody {
  // A failure while nobody reads yet must not end the process; the reader meets it when it comes.
  response.body.on("error", ignoreUntilRead);
  return {
    info,
    ...span,
    stream: checkedStream(ctx, response, span.end - span.start),
    cancel: () => abandon(response),
  };
}

async function* checkedStream(ctx: Ctx, response: S3Response, expectedBytes: number): AsyncGenerator<Uint8Array> {
  let seenBytes = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      seenBytes += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    throw fromTransport(error, "s3.get", ctx.signal);
  } finally {
    abandon(response);
  }
  if (seenBytes !== expectedBytes) {
    throw new GfsError("Unavailable", "The S3 endpoint ended the object early; read it again.", {
      op: "s3.get",
      retry: "safe",
      context: { seenBytes, expectedBytes },
    });
  }
}

/** Closes the connection unless the body has ended, in which case it does nothing. */
function abandon(response: S3Response): void {
  response.body.on("error", ignoreUntilRead);
  response.body.destroy();
}

function ignoreUntilRead(): void {
  // The stream keeps its error and hands it to whoever reads.
}

function unsatisfiable(): GfsError {
  return new GfsError("RangeNotSatisfiable", "The range lies outside the object.", { op: "s3.get" });
}

export async function headOrUndefined(
  client: S3Client,
  ctx: Ctx,
  keys: { readonly key: string; readonly fullKey: string },
): Promise<ObjectInfo | undefined> {
  try {
    return await headObject(client, ctx, keys.key, keys.fullKey);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}
