import type { SiteName } from "../core/ids.ts";
import { type Key, keyAfter, prefixRange, type Program, type Reader } from "../kv/index.ts";
import { decodeOwner, ownerRange, placeOfOwnerKey } from "./rows.ts";
import { readContent } from "./inodes.ts";

export interface LoneCopiesQuery {
  readonly site: SiteName;
  /** Where a copy counts. */
  readonly others: ReadonlySet<SiteName>;
  readonly after?: Key;
  readonly limit: number;
}

export interface LoneCopiesPage {
  /** Versions of the page whose bytes are at the site and at none of the others. */
  readonly count: number;
  /** Pass as `after`; absent on the last page. */
  readonly next?: Key;
}

/** Looks through what a site holds, older versions included. */
export function* pageLoneCopies(tx: Reader, { site, others, after, limit }: LoneCopiesQuery): Program<LoneCopiesPage> {
  const range = prefixRange(ownerRange(site));
  const start = after === undefined ? range.start : keyAfter(after);
  const rows = yield* tx.range({ start, end: range.end, limit });
  let count = 0;
  for (const { key, value } of rows) {
    const { objectKey } = placeOfOwnerKey(key);
    const { inode, versionId } = decodeOwner(value);
    const version = yield* readContent(tx, inode);
    if (version?.id !== versionId) continue;
    const holders = version.copies.filter(({ state }) => state === "present" || state === "foreign");
    if (
      !holders.some((copy) => copy.site === site && copy.key === objectKey) ||
      holders.some((copy) => others.has(copy.site))
    )
      continue;
    count += 1;
  }
  const last = rows.at(-1)?.key;
  return { count, ...(rows.length === limit && last !== undefined ? { next: last } : {}) };
}
