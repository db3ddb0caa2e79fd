import type { ListResult, ObjectMeta } from "../../coordinator/service-objects.ts";
import { GfsError } from "../../core/errors.ts";
import { mayHoldKeys, pathPrefix } from "./key-space.ts";
import { isoTime, type KeyWriter } from "./list-query.ts";
import { ownerFields } from "./owners.ts";
import type { S3Deps, S3Request } from "./request.ts";
import { rollUp } from "./roll-up.ts";

/** One page of a bucket's keys, whatever the delimiter; keys and prefixes are those of the bucket, without its name. */
export interface ObjectPage {
  readonly objects: readonly ObjectMeta[];
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

const EMPTY: ObjectPage = { objects: [], prefixes: [] };
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
    objects: objects.map((meta) => (root === "" ? meta : { ...meta, key: meta.key.slice(root.length) })),
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

export function contentsXml(
  { key, etag, sizeBytes, modifiedMs, details }: ObjectMeta,
  write: KeyWriter,
  owner: string | undefined,
): string {
  const checksum = details?.checksum;
  const algorithm =
    checksum === undefined
      ? ""
      : `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.kind === "full" ? "FULL_OBJECT" : "COMPOSITE"}</ChecksumType>`;
  return `<Contents><Key>${write(key)}</Key><LastModified>${isoTime(modifiedMs)}</LastModified><ETag>&quot;${etag}&quot;</ETag>${algorithm}<Size>${sizeBytes}</Size>${
    owner === undefined ? "" : `<Owner>${ownerFields(details?.owner ?? owner)}</Owner>`
  }<StorageClass>STANDARD</StorageClass></Contents>`;
}
