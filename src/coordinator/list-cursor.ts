import type { Ctx } from "../core/context.ts";
import { compareKeys, type ListPage, type ListQuery, type ObjectInfo, type Site } from "../stores/index.ts";

/** Sources of a merged listing: each gives its keys in order, one page in memory at a time. */
export interface Cursor<T extends { readonly key: string }> {
  /** The next entry, or undefined at the end. */
  peek(): Promise<T | undefined>;
  advance(): void;
}

export interface Candidate {
  readonly key: string;
  /** Absent for a common prefix. */
  readonly info?: ObjectInfo;
}

/** Objects that are no files of the namespace. */
const OWN_PREFIX = ".globalfs/";
/** No key that begins so sorts after this. */
const BEHIND_OWN = `${OWN_PREFIX}\u{10FFFF}`;

export class SiteCursor implements Cursor<Candidate> {
  readonly site: Site;
  readonly #ctx: Ctx;
  #query: ListQuery;
  #continuation: string | undefined;
  #page: Candidate[] = [];
  #index = 0;
  #ended = false;
  #dropped = false;

  constructor(site: Site, ctx: Ctx, query: ListQuery) {
    this.site = site;
    this.#ctx = ctx;
    this.#query = query;
  }

  get dropped(): boolean {
    return this.#dropped;
  }

  drop(): void {
    this.#dropped = true;
  }

  async peek(): Promise<Candidate | undefined> {
    while (this.#index === this.#page.length && !this.#ended) await this.#load();
    return this.#page[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }

  async #load(): Promise<void> {
    const page: ListPage = await this.site.store.list(this.#ctx, {
      ...this.#query,
      ...(this.#continuation === undefined ? {} : { continuation: this.#continuation }),
    });
    const last = page.objects.at(-1)?.key;
    const objects = page.objects
      .filter(({ key }) => !key.startsWith(OWN_PREFIX))
      .map((info): Candidate => ({ key: info.key, info }));
    if (page.continuation !== undefined && last?.startsWith(OWN_PREFIX) === true) {
      // There may be very many of them, and none shows: the listing goes on behind them.
      this.#page = objects;
      this.#index = 0;
      this.#continuation = undefined;
      this.#query = { ...this.#query, after: BEHIND_OWN };
      return;
    }
    // Keys below the prefix at which the page before ended would roll it up once more.
    const { after } = this.#query;
    const fresh = page.prefixes.filter(
      (key) => key !== OWN_PREFIX && (after === undefined || compareKeys(key, after) > 0),
    );
    const prefixes = fresh.map((key): Candidate => ({ key }));
    this.#page =
      prefixes.length === 0 ? objects : [...objects, ...prefixes].sort((one, other) => compareKeys(one.key, other.key));
    this.#index = 0;
    this.#continuation = page.continuation;
    this.#ended = page.continuation === undefined;
  }
}
