/** Listing objects (version 2 of the API) and the uploads that were never completed. */
import type { Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import type { ListPage, ListQuery, ObjectInfo } from "../../store.ts";
import type { S3Client } from "./client.ts";
import { bareEtag } from "./reading.ts";
import { childrenNamed, childText, type XmlElement } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

const MAX_PAGES = 10_000;

/** A continuation is a token of the endpoint, or a place of ours: see `listFromWithin`. */
const TOKEN = "t:";
const PLACE = "p:";

/** `prefix` is the site's own: put before what is asked for, and taken off what is found. */
export async function listObjects(client: S3Client, ctx: Ctx, prefix: string, query: ListQuery): Promise<ListPage> {
  if (!(Number.isInteger(query.limit) && query.limit >= 1 && query.limit <= 1_000)) {
    throw new GfsError("InvalidArgument", "A page of a listing holds between 1 and 1,000 entries.", { op: "s3.list" });
  }
  const { continuation } = query;
  if (continuation?.startsWith(PLACE) === true) {
    const after = continuation.slice(PLACE.length);
    const page = await listPage(client, ctx, prefix, { ...query, startAfter: after });
    return withoutPrefix(page, rolledUpPrefix(query, after));
  }
  if (continuation !== undefined) {
    if (!continuation.startsWith(TOKEN))
      throw new GfsError("InvalidArgument", "The continuation is not of this listing.", { op: "s3.list" });
    return listPage(client, ctx, prefix, { ...query, token: continuation.slice(TOKEN.length) });
  }
  const { after } = query;
  if (after === undefined) return listPage(client, ctx, prefix, query);
  const within = rolledUpPrefix(query, after);
  if (within === undefined || within === after) return listPage(client, ctx, prefix, { ...query, startAfter: after });
  return listFromWithin(client, ctx, prefix, { query, after, within });
}

/**
 * Goes on after a key that is itself rolled up. Endpoints differ in whether they name that key's prefix again while it
 * has more keys, so they are asked for those keys, and what they say of the prefix itself is left out.
 */
async function listFromWithin(
  client: S3Client,
  ctx: Ctx,
  prefix: string,
  place: { readonly query: ListQuery; readonly after: string; readonly within: string },
): Promise<ListPage> {
  const { query, after, within } = place;
  const more = await listPage(client, ctx, prefix, { prefix: within, startAfter: after, limit: 1 });
  const found = more.objects.length > 0;
  if (found && query.limit === 1) return { objects: [], prefixes: [within], continuation: PLACE + after };
  const page = await listPage(client, ctx, prefix, {
    ...query,
    limit: found ? query.limit - 1 : query.limit,
    startAfter: after,
  });
  const rest = withoutPrefix(page, within);
  return found ? { ...rest, prefixes: [within, ...rest.prefixes] } : rest;
}

interface PageQuery {
  readonly prefix?: string;
  readonly delimiter?: "/";
  readonly token?: string;
  readonly startAfter?: string;
  readonly limit: number;
}

async function listPage(client: S3Client, ctx: Ctx, prefix: string, query: PageQuery): Promise<ListPage> {
  const { text } = await client.sendForText(ctx, {
    op: "s3.list",
    method: "GET",
    query: {
      "list-type": "2",
      "encoding-type": "url",
      "max-keys": String(query.limit),
      prefix: prefix + (query.prefix ?? ""),
      ...(query.delimiter === undefined ? {} : { delimiter: query.delimiter }),
      ...(query.token === undefined ? {} : { "continuation-token": query.token }),
      ...(query.startAfter === undefined ? {} : { "start-after": prefix + query.startAfter }),
    },
  });
  const root = parseAnswer(text);
  if (root.name !== "ListBucketResult") {
    throw new GfsError("Unavailable", "The S3 endpoint answered a listing with something else.", { op: "s3.list" });
  }
  const objects = childrenNamed(root, "Contents").map((element) => objectFrom(element, prefix));
  const prefixes = childrenNamed(root, "CommonPrefixes").map((element) =>
    decodeKey(childText(element, "Prefix") ?? "").slice(prefix.length),
  );
  const token = childText(root, "NextContinuationToken");
  if (childText(root, "IsTruncated") !== "true" || token === undefined || token === "") return { objects, prefixes };
  return { objects, prefixes, continuation: TOKEN + token };
}

/** What a listing of this query shows in the place of the key, when it does not show the key itself. */
function rolledUpPrefix(query: ListQuery, key: string): string | undefined {
  const asked = query.prefix ?? "";
  if (query.delimiter === undefined || !key.startsWith(asked)) return undefined;
  const slash = key.indexOf(query.delimiter, asked.length);
  return slash === -1 ? undefined : key.slice(0, slash + 1);
}

function withoutPrefix(page: ListPage, prefix: string | undefined): ListPage {
  return { ...page, prefixes: page.prefixes.filter((other) => other !== prefix) };
}

export interface OpenUpload {
  readonly fullKey: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
}

/** Uploads below the site's prefix, page by page. */
export async function* openUploads(client: S3Client, ctx: Ctx, prefix: string): AsyncGenerator<OpenUpload> {
  let marker: Record<string, string> = {};
  for (let page = 0; page < MAX_PAGES; page++) {
    const { text } = await client.sendForText(ctx, {
      op: "s3.sweep",
      method: "GET",
      query: { uploads: "", "encoding-type": "url", prefix, ...marker },
    });
    const root = parseAnswer(text);
    for (const upload of childrenNamed(root, "Upload")) {
      yield {
        fullKey: decodeKey(childText(upload, "Key") ?? ""),
        uploadId: childText(upload, "UploadId") ?? "",
        initiatedMs: Date.parse(childText(upload, "Initiated") ?? ""),
      };
    }
    const nextKey = decodeKey(childText(root, "NextKeyMarker") ?? "");
    const nextUpload = childText(root, "NextUploadIdMarker") ?? "";
    if (
      childText(root, "IsTruncated") !== "true" ||
      (nextKey === marker["key-marker"] && nextUpload === marker["upload-id-marker"])
    )
      return;
    marker = { "key-marker": nextKey, "upload-id-marker": nextUpload };
  }
}

function objectFrom(element: XmlElement, prefix: string): ObjectInfo {
  // Listings know milliseconds where headers know seconds; the same object must not seem to change.
  const modifiedSeconds = Math.floor(Date.parse(childText(element, "LastModified") ?? "") / 1_000);
  return {
    key: decodeKey(childText(element, "Key") ?? "").slice(prefix.length),
    sizeBytes: Number(childText(element, "Size")),
    etag: bareEtag(childText(element, "ETag") ?? ""),
    modifiedMs: Number.isNaN(modifiedSeconds) ? 0 : modifiedSeconds * 1_000,
    metadata: {},
  };
}

function decodeKey(encoded: string): string {
  const spaced = encoded.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    // An endpoint that does not encode although asked to, or a key that is not UTF-8: shown as well as it can be.
    return Buffer.from(unescape(spaced), "latin1").toString();
  }
}
