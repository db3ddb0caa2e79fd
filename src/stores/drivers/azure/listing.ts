/**
 * Listings in the order of UTF-8 bytes over a service that neither starts after a key nor promises that order. Segments of
 * the service's listing are read until what is held can be put into order for sure (see `displacementsOf`); with ordinary
 * names that is each segment as it comes.
 */
import type { ContainerClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { compareKeys } from "../../object-key.ts";
import type { ListPage, ListQuery, ObjectInfo } from "../../store.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { infoOf } from "./attributes.ts";
import { toAzureError } from "./failures.ts";
import { type Displacement, displacementsOf, isOpen, keyOf, namePrefixOf, UPLOADS_DIRECTORY } from "./names.ts";

interface Entry {
  /** The key, or the prefix. */
  readonly key: string;
  readonly object?: ObjectInfo;
}

interface Segment {
  readonly entries: readonly Entry[];
  /** The service's own, without the site's prefix. */
  readonly names: readonly string[];
  readonly marker: string | undefined;
}

/** Where a page begins: at a marker of the service, and only with what comes after a key. */
interface Place {
  readonly marker?: string | undefined;
  readonly after?: string | undefined;
}

const SCAN_SEGMENT = 1_000;
/** Names out of order one after the other: more can not be held. */
const MAX_HELD = 100_000;

export async function listBlobs(
  container: ContainerClient,
  ctx: Ctx,
  prefix: string,
  query: ListQuery,
): Promise<ListPage> {
  const { limit } = query;
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= 1_000)) {
    throw new GfsError("InvalidArgument", "A page of a listing holds between 1 and 1,000 entries.", {
      op: "azure.list",
    });
  }
  const reader = new SegmentReader(container, ctx, prefix, query);
  if (query.continuation !== undefined) return takePage(reader, limit, placeFrom(query.continuation), []);
  const within = query.after === undefined ? undefined : await prefixWithMore(container, ctx, prefix, query);
  return takePage(reader, limit, { after: query.after }, within === undefined ? [] : [{ key: within }]);
}

async function takePage(reader: SegmentReader, limit: number, from: Place, first: readonly Entry[]): Promise<ListPage> {
  let base = from.marker;
  let marker = from.marker;
  let held: Entry[] = [...first];
  let displaced: Displacement[] = [];
  for (;;) {
    const segment = await reader.read(marker, from.after === undefined ? limit : SCAN_SEGMENT);
    for (const entry of segment.entries) {
      if (from.after === undefined || compareKeys(entry.key, from.after) > 0) held.push(entry);
    }
    displaced.push(...segment.names.flatMap(displacementsOf));
    const last = segment.names.at(-1);
    if (last !== undefined) displaced = displaced.filter((one) => isOpen(one, last));
    ({ marker } = segment);
    if (marker === undefined || (displaced.length === 0 && held.length >= limit)) break;
    if (displaced.length === 0 && held.length === 0) base = marker;
    if (held.length > MAX_HELD) {
      throw new GfsError(
        "Unsupported",
        "Too many names that Azure orders differently lie side by side; list a narrower prefix.",
        { op: "azure.list" },
      );
    }
  }
  held = held.toSorted((one, other) => compareKeys(one.key, other.key));
  const page = held.slice(0, limit);
  const next = nextPlace(held, page, { base, marker, first: first.length > 0 });
  return {
    objects: page.flatMap(({ object }) => (object === undefined ? [] : [object])),
    prefixes: page.flatMap(({ key, object }) => (object === undefined ? [key] : [])),
    ...(next === undefined ? {} : { continuation: JSON.stringify(next) }),
  };
}

function nextPlace(
  held: readonly Entry[],
  page: readonly Entry[],
  at: { readonly base: string | undefined; readonly marker: string | undefined; readonly first: boolean },
): Place | undefined {
  if (held.length > page.length) return { marker: at.base, after: page.at(-1)?.key };
  return at.marker === undefined ? undefined : { marker: at.marker };
}

function placeFrom(continuation: string): Place {
  try {
    const { marker, after } = JSON.parse(continuation) as { marker?: unknown; after?: unknown };
    return {
      marker: typeof marker === "string" ? marker : undefined,
      after: typeof after === "string" ? after : undefined,
    };
  } catch (error) {
    throw new GfsError("InvalidArgument", "The continuation is not of this listing.", {
      op: "azure.list",
      cause: error,
    });
  }
}

/** The rolled-up prefix that `after` itself lies in, while it has keys after it. */
async function prefixWithMore(
  container: ContainerClient,
  ctx: Ctx,
  sitePrefix: string,
  query: ListQuery,
): Promise<string | undefined> {
  const { after = "", prefix = "", delimiter } = query;
  if (delimiter === undefined || !after.startsWith(prefix)) return undefined;
  const slash = after.indexOf(delimiter, prefix.length);
  const within = slash === -1 ? undefined : after.slice(0, slash + 1);
  if (within === undefined || within === after) return undefined;
  const more = await listBlobs(container, ctx, sitePrefix, { prefix: within, after, limit: 1 });
  return more.objects.length > 0 ? within : undefined;
}

class SegmentReader {
  readonly #container: ContainerClient;
  readonly #ctx: Ctx;
  readonly #sitePrefix: string;
  readonly #query: ListQuery;
  readonly #namePrefix: string;

  constructor(container: ContainerClient, ctx: Ctx, sitePrefix: string, query: ListQuery) {
    this.#container = container;
    this.#ctx = ctx;
    this.#sitePrefix = sitePrefix;
    this.#query = query;
    this.#namePrefix = sitePrefix + namePrefixOf(query.prefix ?? "");
  }

  async read(marker: string | undefined, maxPageSize: number): Promise<Segment> {
    const options = { prefix: this.#namePrefix, abortSignal: allowManyListeners(this.#ctx.signal) };
    const settings = { maxPageSize, ...(marker === undefined ? {} : { continuationToken: marker }) };
    try {
      const pages =
        this.#query.delimiter === undefined
          ? this.#container.listBlobsFlat(options).byPage(settings)
          : this.#container.listBlobsByHierarchy(this.#query.delimiter, options).byPage(settings);
      const { value } = await pages.next();
      const entries: Entry[] = [];
      const names: string[] = [];
      const segment = value?.segment as { blobItems?: BlobItem[]; blobPrefixes?: { name: string }[] } | undefined;
      for (const { name } of segment?.blobPrefixes ?? []) this.#add(name, undefined, { entries, names });
      for (const item of segment?.blobItems ?? []) this.#add(item.name, item, { entries, names });
      names.sort();
      const next = (value?.continuationToken as string | undefined) ?? "";
      return { entries, names, marker: next === "" ? undefined : next };
    } catch (error) {
      throw toAzureError(error, "azure.list", this.#ctx.signal);
    }
  }

  #add(
    fullName: string,
    item: BlobItem | undefined,
    into: { readonly entries: Entry[]; readonly names: string[] },
  ): void {
    const name = fullName.slice(this.#sitePrefix.length);
    into.names.push(name);
    if (name.startsWith(`${UPLOADS_DIRECTORY}/`)) return;
    const key = keyOf(name);
    if (key === undefined || !key.startsWith(this.#query.prefix ?? "")) return;
    if (item === undefined) into.entries.push({ key });
    else into.entries.push({ key, object: infoOf(key, item.properties.contentLength ?? 0, item.properties) });
  }
}

interface BlobItem {
  readonly name: string;
  readonly properties: {
    readonly contentLength?: number;
    readonly etag?: string;
    readonly lastModified?: Date;
    readonly contentType?: string;
  };
}
