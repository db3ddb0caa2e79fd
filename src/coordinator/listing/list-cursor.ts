import type { Ctx } from "../../core/context.ts";
import { compareKeys, type ListPage, type ListQuery, type ObjectInfo, type Site } from "../../stores/index.ts";

/**
 * Sources of a merged listing: each gives its keys in order, one page in memory at a time. What is in memory is looked at without a promise,
 * which a thousand keys would pay for a thousand times.
 */
export interface Cursor<T extends { readonly key: string }> {
  /** Its page is used up, and there is another: `load` before looking on. */
  readonly hungry: boolean;
  load(): Promise<void>;
  /** The next entry; undefined at the end. */
  readonly head: T | undefined;
  advance(): void;
}

export interface Candidate {
  readonly key: string;
  /** Absent for a common prefix, and for what the catalog has. */
  readonly info?: ObjectInfo;
  /** The catalog has it. */
  readonly known?: boolean;
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
  #page: readonly Candidate[] = [];
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

  get hungry(): boolean {
    return this.#index === this.#page.length && !this.#ended;
  }

  get head(): Candidate | undefined {
    return this.#page[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }

  async load(): Promise<void> {
    while (this.hungry) await this.#loadPage();
  }

  async #loadPage(): Promise<void> {
    const page: ListPage = await this.site.store.list(this.#ctx, {
      ...this.#query,
      ...(this.#continuation === undefined ? {} : { continuation: this.#continuation }),
    });
    const { known = [] } = page;
    const last = laterOf(page.objects.at(-1)?.key, known.at(-1));
    const objects = inOrder(
      page.objects.filter(({ key }) => !key.startsWith(OWN_PREFIX)).map((info): Candidate => ({ key: info.key, info })),
      known.map((key): Candidate => ({ key, known: true })),
    );
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
    this.#page = inOrder(
      objects,
      fresh.map((key): Candidate => ({ key })),
    );
    this.#index = 0;
    this.#continuation = page.continuation;
    this.#ended = page.continuation === undefined;
  }
}

function laterOf(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return compareKeys(one, other) > 0 ? one : other;
}

/** Both are in order already; usually one is empty. */
export function inOrder<T extends { readonly key: string }>(some: readonly T[], others: readonly T[]): readonly T[] {
  if (some.length === 0) return others;
  if (others.length === 0) return some;
  return [...some, ...others].sort((one, other) => compareKeys(one.key, other.key));
}
