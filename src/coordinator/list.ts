import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { listPage } from "../namespace/index.ts";
import { compareKeys, type Site } from "../stores/index.ts";
import { readCatalog } from "./catalog-view.ts";
import type { Cursor } from "./list-cursor.ts";
import { type Scope, SiteObjects } from "./list-sites.ts";
import { describeFile } from "./object-meta.ts";
import type { Parts } from "./parts.ts";
import type { ListRequest, ListResult, ObjectMeta } from "./service.ts";

const MAX_PREFIX_BYTES = 1_024;

/**
 * Merges the catalog with the sites in exact key order. The catalog wins a key; among sites the first in routing order does. What was
 * deleted here, or belongs to a renamed file, stays invisible. A site that cannot be listed is named in the answer.
 */
export async function listObjects(parts: Parts, ctx: Ctx, request: ListRequest): Promise<ListResult> {
  const prefix = request.prefix ?? "";
  const after = startOf(request);
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) {
    throw new GfsError("InvalidArgument", `A prefix may have ${MAX_PREFIX_BYTES} bytes.`);
  }
  if (!Number.isInteger(request.limit) || request.limit < 1 || request.limit > 1_000) {
    throw new GfsError("InvalidArgument", "A list page has 1 to 1,000 entries; page with the continuation for more.");
  }
  const scope = { prefix, ...(request.delimiter === undefined ? {} : { delimiter: request.delimiter }) };
  const merge = new Merge(parts, ctx, scope, after, request.limit);
  return await merge.run();
}

/** The continuation carries the last key of the page before; anything else is refused, not guessed at. */
function startOf(request: ListRequest): string | undefined {
  if (request.continuation === undefined) return request.after;
  const text = Buffer.from(request.continuation, "base64url").toString();
  if (!text.startsWith("a:"))
    throw new GfsError("InvalidArgument", "The continuation is not one of ours; begin the listing anew without it.");
  return text.slice(2);
}

function continuationOf(after: string): string {
  return Buffer.from(`a:${after}`).toString("base64url");
}

class Merge {
  readonly #parts: Parts;
  readonly #scope: Scope;
  readonly #limit: number;
  readonly #after: string | undefined;
  readonly #sites: SiteObjects;
  readonly #objects: ObjectMeta[] = [];
  readonly #prefixes: string[] = [];

  constructor(parts: Parts, ctx: Ctx, scope: Scope, after: string | undefined, limit: number) {
    this.#parts = parts;
    this.#scope = scope;
    this.#after = after;
    this.#limit = limit;
    const prefixIsReal = async (site: Site, prefix: string): Promise<boolean> =>
      await showsSomething(parts, ctx, site, prefix);
    this.#sites = new SiteObjects(parts, ctx, { ...scope, after, limit, prefixIsReal });
  }

  async run(): Promise<ListResult> {
    const catalog = new CatalogCursor(this.#parts, { ...this.#scope, limit: this.#limit }, this.#after);
    await this.#sites.start();
    let last: string | undefined;
    let more = false;
    for (;;) {
      const nextKey = await this.#lowest(catalog);
      if (nextKey === undefined) break;
      if (this.#objects.length + this.#prefixes.length === this.#limit) {
        more = await this.#anythingFrom(catalog);
        break;
      }
      if (await this.#take(catalog, nextKey)) last = nextKey;
    }
    return {
      objects: this.#objects,
      prefixes: this.#prefixes,
      failedSites: this.#sites.failed,
      ...(more && last !== undefined ? { continuation: continuationOf(last) } : {}),
    };
  }

  /** Whether a visible entry follows the page, so that a last page never promises another. */
  async #anythingFrom(catalog: CatalogCursor): Promise<boolean> {
    for (let key = await this.#lowest(catalog); key !== undefined; key = await this.#lowest(catalog)) {
      if ((await this.#visible(catalog, key)) !== undefined) return true;
    }
    return false;
  }

  async #take(catalog: CatalogCursor, key: string): Promise<boolean> {
    const entry = await this.#visible(catalog, key);
    if (entry === undefined) return false;
    if (entry === "prefix") this.#prefixes.push(key);
    else this.#objects.push(entry);
    return true;
  }

  /** Consumes `key` from every source; says what shows under it. */
  async #visible(catalog: CatalogCursor, key: string): Promise<ObjectMeta | "prefix" | undefined> {
    const own = await catalog.peek();
    const fromCatalog = own?.key === key ? own.entry : undefined;
    if (fromCatalog !== undefined) catalog.advance();
    const atSites = await this.#sites.take(key, fromCatalog !== undefined);
    return fromCatalog ?? atSites;
  }

  async #lowest(catalog: CatalogCursor): Promise<string | undefined> {
    const own = (await catalog.peek())?.key;
    const atSites = await this.#sites.lowest();
    if (own === undefined || atSites === undefined) return own ?? atSites;
    return compareKeys(own, atSites) <= 0 ? own : atSites;
  }
}

/** A common prefix that only a site knows shows when at least one key below it would. */
export async function showsSomething(parts: Parts, ctx: Ctx, site: Site, prefix: string): Promise<boolean> {
  const below = await listObjects(parts, ctx, { prefix, limit: 1 });
  return below.objects.length > 0 || below.failedSites.some((failed) => failed.site === site.name);
}

interface CatalogEntry {
  readonly key: string;
  readonly entry: ObjectMeta | "prefix";
}

class CatalogCursor implements Cursor<CatalogEntry> {
  readonly #parts: Parts;
  readonly #query: Scope & { readonly limit: number };
  #after: string | undefined;
  #page: CatalogEntry[] = [];
  #index = 0;
  #ended = false;

  constructor(parts: Parts, query: Scope & { readonly limit: number }, after: string | undefined) {
    this.#parts = parts;
    this.#query = query;
    this.#after = after;
  }

  async peek(): Promise<CatalogEntry | undefined> {
    while (this.#index === this.#page.length && !this.#ended) await this.#load();
    return this.#page[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }

  async #load(): Promise<void> {
    const query = { ...this.#query, ...(this.#after === undefined ? {} : { after: this.#after }) };
    const page = await readCatalog(this.#parts.kv, (tx) => listPage(tx, query));
    const files = page.files.map(({ key, file }): CatalogEntry => ({ key, entry: describeFile(key, file) }));
    const prefixes = page.prefixes.map((key): CatalogEntry => ({ key, entry: "prefix" }));
    this.#page =
      prefixes.length === 0 ? files : [...files, ...prefixes].sort((one, other) => compareKeys(one.key, other.key));
    this.#index = 0;
    this.#after = page.next;
    this.#ended = page.next === undefined;
  }
}
