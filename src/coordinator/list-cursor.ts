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

export class SiteCursor implements Cursor<Candidate> {
  readonly site: Site;
  readonly #ctx: Ctx;
  readonly #query: ListQuery;
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
    const objects = page.objects.map((info): Candidate => ({ key: info.key, info }));
    // Keys below the prefix at which the page before ended would roll it up once more.
    const { after } = this.#query;
    const fresh = after === undefined ? page.prefixes : page.prefixes.filter((key) => compareKeys(key, after) > 0);
    const prefixes = fresh.map((key): Candidate => ({ key }));
    this.#page =
      prefixes.length === 0 ? objects : [...objects, ...prefixes].sort((one, other) => compareKeys(one.key, other.key));
    this.#index = 0;
    this.#continuation = page.continuation;
    this.#ended = page.continuation === undefined;
  }
}
