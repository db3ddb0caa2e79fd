import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { listObjectPage, type MovedDirectory, readMoves } from "../../namespace/index.ts";
import { compareKeys, type Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { continuationAfter, placeOfContinuation } from "./list-continuation.ts";
import { type Cursor, inOrder } from "./list-cursor.ts";
import { type Scope, SiteObjects } from "./list-sites.ts";
import { sitesWithForeign } from "../foreign/first-import.ts";
import type { Kit } from "../kit.ts";
import type { ListRequest, ListResult, ObjectMeta } from "../service/service.ts";

const MAX_PREFIX_BYTES = 1_024;

/**
 * Merges the catalog with the sites in exact key order. The catalog wins a key; among sites the first in routing order does. What was
 * deleted here, or belongs to a renamed file, stays invisible. A site that cannot be listed is named in the answer.
 */
export async function listObjects(kit: Kit, ctx: Ctx, request: ListRequest): Promise<ListResult> {
  const prefix = request.prefix ?? "";
  const after = startOf(request);
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) {
    throw new GfsError("InvalidArgument", `A prefix may have ${MAX_PREFIX_BYTES} bytes.`);
  }
  if (!Number.isInteger(request.limit) || request.limit < 1 || request.limit > 1_000) {
    throw new GfsError("InvalidArgument", "A list page has 1 to 1,000 entries; page with the continuation for more.");
  }
  const scope = { prefix, ...(request.delimiter === undefined ? {} : { delimiter: request.delimiter }) };
  const merge = new Merge(kit, ctx, scope, {
    sites: await sitesWithForeign(kit),
    moves: await readCatalog(kit.kv, readMoves),
    after,
    limit: request.limit,
    brief: request.brief === true,
    others: request.others === true,
  });
  return await merge.run();
}

function startOf({ continuation, after }: ListRequest): string | undefined {
  return continuation === undefined ? after : placeOfContinuation(continuation);
}

interface Bounds {
  readonly sites: readonly Site[];
  readonly moves: readonly MovedDirectory[];
  readonly after: string | undefined;
  readonly limit: number;
  readonly brief: boolean;
  readonly others: boolean;
}

class Merge {
  readonly #catalog: CatalogCursor;
  readonly #sites: SiteObjects;
  readonly #limit: number;
  readonly #objects: ObjectMeta[] = [];
  readonly #prefixes: string[] = [];

  constructor(kit: Kit, ctx: Ctx, scope: Scope, { sites, moves, after, limit, brief, others }: Bounds) {
    this.#limit = limit;
    const catalog = new CatalogCursor(kit, { ...scope, limit, brief, others }, after);
    this.#catalog = catalog;
    const prefixIsReal = async (site: Site, prefix: string): Promise<boolean> =>
      await showsSomething(kit, ctx, site, prefix);
    const isKnown = (key: string): boolean => catalog.isOnPage(key);
    this.#sites = new SiteObjects(kit, ctx, { ...scope, sites, moves, after, limit, prefixIsReal, isKnown });
  }

  async run(): Promise<ListResult> {
    let last: string | undefined;
    let more = false;
    for (;;) {
      if (this.#catalog.hungry || this.#sites.hungry) await this.#load();
      const key = this.#lowest();
      if (key === undefined) break;
      if (this.#objects.length + this.#prefixes.length === this.#limit) {
        more = await this.#anythingFrom();
        break;
      }
      const entry = this.#takeKnown(key) ?? (await this.#takeForeign(key));
      if (entry === undefined) continue;
      if (entry === "prefix") this.#prefixes.push(key);
      else this.#objects.push(entry);
      last = key;
    }
    return {
      objects: this.#objects,
      prefixes: this.#prefixes,
      failedSites: this.#sites.failed,
      ...(more && last !== undefined ? { continuation: continuationAfter(last) } : {}),
    };
  }

  /** The catalog first: what is on its page the sites need not describe. */
  async #load(): Promise<void> {
    await this.#catalog.load();
    if (this.#sites.hungry) await this.#sites.load();
  }

  /** Whether a visible entry follows the page, so that a last page never promises another. */
  async #anythingFrom(): Promise<boolean> {
    for (;;) {
      if (this.#catalog.hungry || this.#sites.hungry) await this.#load();
      const key = this.#lowest();
      if (key === undefined) return false;
      if ((this.#takeKnown(key) ?? (await this.#takeForeign(key))) !== undefined) return true;
    }
  }

  /** What the catalog shows under the key, which is consumed everywhere then. */
  #takeKnown(key: string): ObjectMeta | "prefix" | undefined {
    const own = this.#catalog.head;
    if (own?.key !== key) return undefined;
    this.#catalog.advance();
    this.#sites.take(key);
    return "prefix" in own ? "prefix" : own;
  }

  async #takeForeign(key: string): Promise<ObjectMeta | "prefix" | undefined> {
    return await this.#sites.shown(key, this.#sites.take(key));
  }

  #lowest(): string | undefined {
    const own = this.#catalog.head?.key;
    const atSites = this.#sites.lowest();
    if (own === undefined || atSites === undefined) return own ?? atSites;
    return own === atSites || compareKeys(own, atSites) <= 0 ? own : atSites;
  }
}

/** A common prefix that only a site knows shows when at least one key below it would. */
export async function showsSomething(kit: Kit, ctx: Ctx, site: Site, prefix: string): Promise<boolean> {
  const below = await listObjects(kit, ctx, { prefix, limit: 1 });
  return below.objects.length > 0 || below.failedSites.some((failed) => failed.site === site.name);
}

type CatalogEntry = ObjectMeta | { readonly key: string; readonly prefix: true };

interface CatalogQuery extends Scope {
  readonly limit: number;
  readonly brief: boolean;
  readonly others: boolean;
}

class CatalogCursor implements Cursor<CatalogEntry> {
  readonly #kit: Kit;
  readonly #query: CatalogQuery;
  #after: string | undefined;
  #page: readonly CatalogEntry[] = [];
  #index = 0;
  #ended = false;
  /** Made when a site asks. */
  #keys: ReadonlySet<string> | undefined;

  constructor(kit: Kit, query: CatalogQuery, after: string | undefined) {
    this.#kit = kit;
    this.#query = query;
    this.#after = after;
  }

  get hungry(): boolean {
    return this.#index === this.#page.length && !this.#ended;
  }

  get head(): CatalogEntry | undefined {
    return this.#page[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }

  isOnPage(key: string): boolean {
    this.#keys ??= new Set(this.#page.slice(this.#index).map((entry) => entry.key));
    return this.#keys.has(key);
  }

  async load(): Promise<void> {
    while (this.hungry) {
      const query = { ...this.#query, ...(this.#after === undefined ? {} : { after: this.#after }) };
      const read = readCatalog(this.#kit.kv, (tx) => listObjectPage(tx, query));
      const page = read instanceof Promise ? await read : read;
      this.#page = inOrder<CatalogEntry>(
        page.files,
        page.prefixes.map((key) => ({ key, prefix: true as const })),
      );
      this.#index = 0;
      this.#keys = undefined;
      this.#after = page.next;
      this.#ended = page.next === undefined;
    }
  }
}
