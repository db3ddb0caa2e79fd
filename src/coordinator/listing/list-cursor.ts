import type { Ctx } from "../../core/context.ts";
import { keyOfObject, type MovedDirectory, type View, viewsOf } from "../../namespace/index.ts";
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

/** What a listing asks for, by the names that it shows. */
export interface NameQuery extends Omit<ListQuery, "after"> {
  readonly prefix: string;
  readonly after: string | undefined;
}

/** One for what belongs where it lies, and one for each directory that was renamed and whose objects still lie elsewhere. */
export function cursorsAt(site: Site, ctx: Ctx, moves: readonly MovedDirectory[], query: NameQuery): SiteCursor[] {
  const cursors: SiteCursor[] = [];
  for (const view of viewsOf(moves)) {
    const scope = { site, ctx, view, moves };
    const below = view.names.slice(query.prefix.length);
    const rolledUp = view.names.startsWith(query.prefix) && below !== "" && query.delimiter !== undefined;
    if (rolledUp) {
      const prefix = query.prefix + below.slice(0, below.indexOf("/") + 1);
      if (query.after === undefined || compareKeys(prefix, query.after) > 0)
        cursors.push(new SiteCursor(scope, { prefix }));
      continue;
    }
    const keys = keysOfView(view, query);
    if (keys !== undefined) cursors.push(new SiteCursor(scope, keys));
  }
  return cursors;
}

/** Undefined when nothing of the view is asked for. */
function keysOfView({ keys, names }: View, query: NameQuery): ListQuery | undefined {
  const { prefix, after, isKnown, ...rest } = query;
  if (!prefix.startsWith(names) && !names.startsWith(prefix)) return undefined;
  const asked = { ...rest, prefix: keys + prefix.slice(names.length) };
  const known = isKnown === undefined ? {} : { isKnown: (key: string) => isKnown(names + key.slice(keys.length)) };
  if (after === undefined) return { ...asked, ...known };
  if (after.startsWith(names)) return { ...asked, ...known, after: keys + after.slice(names.length) };
  return compareKeys(after, names) > 0 ? undefined : { ...asked, ...known };
}

interface CursorScope {
  readonly site: Site;
  readonly ctx: Ctx;
  readonly view: View;
  readonly moves: readonly MovedDirectory[];
}

export class SiteCursor implements Cursor<Candidate> {
  readonly site: Site;
  readonly #ctx: Ctx;
  readonly #view: View;
  readonly #moves: readonly MovedDirectory[];
  #query: ListQuery;
  #continuation: string | undefined;
  #page: readonly Candidate[] = [];
  #index = 0;
  #ended = false;
  #dropped = false;

  /** Below a prefix that all of the view is below there is nothing to ask for: whether it shows is asked when its turn comes. */
  constructor({ site, ctx, view, moves }: CursorScope, query: ListQuery | { readonly prefix: string }) {
    this.site = site;
    this.#ctx = ctx;
    this.#view = view;
    this.#moves = moves;
    this.#query = query as ListQuery;
    if ("limit" in query) return;
    this.#page = [{ key: query.prefix }];
    this.#ended = true;
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
      page.objects.filter((info) => this.#shows(info)).map((info): Candidate => ({ key: this.#name(info.key), info })),
      known.map((key): Candidate => ({ key: this.#name(key), known: true })),
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
      fresh.map((key): Candidate => ({ key: this.#name(key) })),
    );
    this.#index = 0;
    this.#continuation = page.continuation;
    this.#ended = page.continuation === undefined;
  }

  #name(key: string): string {
    const { keys, names } = this.#view;
    return names === keys ? key : names + key.slice(keys.length);
  }

  /** It is no object of our own, and belongs here. */
  #shows(info: ObjectInfo): boolean {
    if (info.key.startsWith(OWN_PREFIX)) return false;
    return this.#moves.length === 0 || keyOfObject(this.#moves, info) === this.#name(info.key);
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
