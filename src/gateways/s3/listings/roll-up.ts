import { compareKeys } from "../../../stores/index.ts";
import { GfsError } from "../../../core/errors.ts";

/** A place in a listing: after this key and, within it, after this id. */
export interface Place {
  readonly key: string;
  readonly id?: string;
}

export interface Listed<T> {
  readonly key: string;
  readonly id?: string;
  readonly value: T;
}

export interface FetchedPage<T> {
  /** In order. */
  readonly items: readonly Listed<T>[];
  /** Absent on the last page. */
  readonly next?: Place;
}

export interface RolledUp<T> {
  readonly items: readonly T[];
  readonly prefixes: readonly string[];
  readonly next?: Place;
}

/** So much is looked at for one answer; a listing that finds less goes on from there with the next request. */
const MAX_PAGES = 100;
/** Sorts behind everything that begins with the same text. */
const LAST = "\u{10FFFF}";

/**
 * Rolls keys up at a delimiter that the namespace knows nothing of, from pages without one. What belongs to a common prefix that is already told
 * is skipped, so that a prefix costs a page and not its keys.
 */
export async function rollUp<T>(
  fetch: (after: Place | undefined) => Promise<FetchedPage<T>>,
  { prefix, delimiter, after, limit }: { prefix: string; delimiter: string; after: Place | undefined; limit: number },
): Promise<RolledUp<T>> {
  const items: T[] = [];
  const prefixes: string[] = [];
  let told = after === undefined ? undefined : groupOf(after.key, prefix, delimiter);
  if (told !== after?.key) told = undefined;
  let last: Place | undefined = after;
  let from = told === undefined ? after : { key: told + LAST };
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items: found, next } = await fetch(from);
    for (const item of found) {
      const group = groupOf(item.key, prefix, delimiter);
      if (group !== undefined && group === told) continue;
      if (items.length + prefixes.length === limit)
        return { items, prefixes, ...(last === undefined ? {} : { next: last }) };
      if (group === undefined) {
        items.push(item.value);
        last = { key: item.key, ...(item.id === undefined ? {} : { id: item.id }) };
      } else {
        prefixes.push(group);
        told = group;
        last = { key: group };
      }
    }
    if (next === undefined) return { items, prefixes };
    const jump = told === undefined || !next.key.startsWith(told) ? next : { key: told + LAST };
    if (from !== undefined && compareKeys(jump.key, from.key) < 0)
      throw new GfsError("Internal", "A listing went backwards.", { op: "s3.list" });
    from = jump;
  }
  return { items, prefixes, ...(from === undefined ? {} : { next: from }) };
}

function groupOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const found = key.indexOf(delimiter, prefix.length);
  return found === -1 ? undefined : key.slice(0, found + delimiter.length);
}
