import type { ListResult, ObjectMeta } from "../../../coordinator/service/objects.ts";
import type { ContentChecksum } from "../../../namespace/types.ts";
import { GfsError } from "../../../core/errors.ts";
import { XML_DECLARATION } from "../wire/answer.ts";
import { mayHoldKeys, pathPrefix } from "../buckets/key-space.ts";
import { commonPrefixes, type KeyWriter } from "./page-query.ts";
import { isoTime } from "../wire/elements.ts";
import { ownerFields } from "../wire/owners.ts";
import type { S3Deps, S3Request } from "../wire/request.ts";
import { rollUp } from "./roll-up.ts";
import { TextBytes } from "../wire/text-bytes.ts";

/** One page of a bucket's keys, whatever the delimiter; prefixes are those of the bucket, without its name. */
export interface ObjectPage {
  /** Their keys are those of the tree. A thousand copies of them would only take off the bucket's name. */
  readonly objects: readonly ObjectMeta[];
  /** So much of each object's key is the bucket's name. */
  readonly rootLength: number;
  readonly prefixes: readonly string[];
  /** The last key or prefix of this page, when there is more. */
  readonly next?: string;
}

export interface ObjectQuery {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly after: string | undefined;
  readonly limit: number;
}

const EMPTY: ObjectPage = { objects: [], rootLength: 0, prefixes: [] };
const PAGE = 1_000;

export async function listPage(request: S3Request, deps: S3Deps, query: ObjectQuery): Promise<ObjectPage> {
  const { ctx, bucket } = request;
  const { service, settings } = deps;
  const root = pathPrefix(settings, bucket);
  const prefix = root + query.prefix;
  if (query.limit === 0 || !mayHoldKeys(query.prefix)) return EMPTY;
  // The directory of the bucket itself is no key of it: the listing begins behind it.
  const begin =
    query.after === undefined || query.after === "" ? (prefix === "" ? undefined : root) : root + query.after;
  const list = async (after: string | undefined, limit: number, delimiter?: "/"): Promise<ListResult> =>
    whole(
      await service.listObjects(ctx, {
        prefix,
        limit,
        brief: true,
        ...(after === undefined || after === "" ? {} : { after }),
        ...(delimiter === undefined ? {} : { delimiter }),
      }),
    );
  if (query.delimiter === undefined || query.delimiter === "/") {
    const page = await list(begin, query.limit, query.delimiter);
    return shown(page, root, page.continuation === undefined ? undefined : lastOf(page));
  }
  const rolled = await rollUp(
    async (after) => {
      const page = await list(after?.key, PAGE);
      const last = page.continuation === undefined ? undefined : lastOf(page);
      return {
        items: page.objects.map((value) => ({ key: value.key, value })),
        ...(last === undefined ? {} : { next: { key: last } }),
      };
    },
    {
      prefix,
      delimiter: query.delimiter,
      after: begin === undefined ? undefined : { key: begin },
      limit: query.limit,
    },
  );
  return shown({ objects: rolled.items, prefixes: rolled.prefixes }, root, rolled.next?.key);
}

function shown(
  { objects, prefixes }: Pick<ListResult, "objects" | "prefixes">,
  root: string,
  next: string | undefined,
): ObjectPage {
  return {
    objects,
    rootLength: root.length,
    prefixes: prefixes.map((prefix) => prefix.slice(root.length)),
    ...(next === undefined ? {} : { next: next.slice(root.length) }),
  };
}

/** In the order of bytes, as keys are listed. */
function lastOf({ objects, prefixes }: Pick<ListResult, "objects" | "prefixes">): string | undefined {
  const key = objects.at(-1)?.key;
  const prefix = prefixes.at(-1);
  if (key === undefined || prefix === undefined) return key ?? prefix;
  return Buffer.compare(Buffer.from(key), Buffer.from(prefix)) > 0 ? key : prefix;
}

/** S3 has no word for a listing that may lack keys: an incomplete one would look like a deletion, so that none is given. */
export function whole<T extends { readonly failedSites: readonly { readonly site: string }[] }>(result: T): T {
  const [first] = result.failedSites;
  if (first === undefined) return result;
  throw new GfsError(
    "Unavailable",
    `The site ${first.site} could not be listed, so that keys might be missing; try again, or list through the REST API, which tells what is missing.`,
    { op: "s3.list", context: { s3: "ServiceUnavailable" }, retryAfterMs: 1_000 },
  );
}

/** A usual entry is shorter. */
const ENTRY_BYTES = 384;

/** The answer to a listing: what comes before its entries, these, and its end. Without `owner` none is shown. */
export function listingXml(
  page: ObjectPage,
  { head, write, owner }: { readonly head: string; readonly write: KeyWriter; readonly owner: string | undefined },
): TextBytes {
  const { objects, rootLength, prefixes } = page;
  const xml = new TextBytes(head.length + (objects.length + 1) * ENTRY_BYTES);
  xml.add(XML_DECLARATION + head);
  for (const { key, etag, sizeBytes, modifiedMs, details } of objects) {
    const checksum = details?.checksum;
    const algorithm = checksum === undefined ? "" : checksumXml(checksum);
    const shownOwner = owner === undefined ? "" : `<Owner>${ownerFields(details?.owner ?? owner)}</Owner>`;
    xml.add(
      `<Contents><Key>${write(key.slice(rootLength))}</Key><LastModified>${isoTime(modifiedMs)}</LastModified><ETag>&quot;${etag}&quot;</ETag>${algorithm}<Size>${sizeBytes}</Size>${shownOwner}<StorageClass>STANDARD</StorageClass></Contents>`,
    );
  }
  xml.add(`${commonPrefixes(prefixes, write)}</ListBucketResult>`);
  return xml;
}

function checksumXml({ algorithm, kind }: ContentChecksum): string {
  return `<ChecksumAlgorithm>${algorithm}</ChecksumAlgorithm><ChecksumType>${kind === "full" ? "FULL_OBJECT" : "COMPOSITE"}</ChecksumType>`;
}
