import { GfsError } from "../core/errors.ts";
import { type Inode, ROOT_INODE } from "../core/ids.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { readAttributes } from "./inodes.ts";
import { countQuotas, type Quota, readQuota, writeQuota } from "./quota-rows.ts";
import type { FileAttributes } from "./types.ts";
import {
  dropWaiting,
  isNothing,
  minus,
  NOTHING_USED,
  pageWaiting,
  putWaiting,
  readUsage,
  sum,
  type Usage,
  type UsageRow,
  writeUsage,
} from "./usage-rows.ts";

/**
 * How much lies below a directory, kept by the transactions that change it, without a walk. Each writes what it adds into the directory where it happens; what a
 * directory knows and has not told to the one above waits to be told, behind. So the usage of a directory is what it knows, and what waits below it.
 * A file counts once, in the directory of the name that it hangs at, however many names it has.
 */

export function usageOfFile({ kind, sizeBytes }: Pick<FileAttributes, "kind" | "sizeBytes">): Usage {
  return { sizeBytes: kind === "file" ? sizeBytes : 0, inodes: 1, olderBytes: 0 };
}

/** Before a file that has a name gets another size. */
export function* countResize(
  tx: Transaction,
  file: Pick<FileAttributes, "parent" | "sizeBytes">,
  sizeBytes: number,
): Program<void> {
  if (file.parent !== undefined)
    yield* addUsage(tx, file.parent.inode, { ...NOTHING_USED, sizeBytes: sizeBytes - file.sizeBytes });
}

export const ONE_INODE: Usage = { ...NOTHING_USED, inodes: 1 };

export function* addUsage(tx: Transaction, directory: Inode, change: Usage): Program<void> {
  if (isNothing(change)) return;
  yield* addKnown(tx, directory, change);
  yield* addToQuotas(tx, directory, change);
}

function* addKnown(tx: Transaction, directory: Inode, change: Usage): Program<void> {
  if (isNothing(change)) return;
  const row = yield* readUsage(tx, directory);
  const waits = directory !== ROOT_INODE;
  if (waits && !row.waits) putWaiting(tx, directory);
  writeUsage(tx, directory, { ...row, known: sum(row.known, change), waits });
}

function* addToQuotas(tx: Transaction, directory: Inode, change: Usage): Program<void> {
  for (const { inode, quota } of yield* quotasAbove(tx, directory))
    yield* writeQuota(tx, inode, { ...quota, used: sum(quota.used, change) });
}

/** What lies in a directory comes along when it comes to hang in another one, and goes with it. It itself is the caller's to count. */
export function* hangUsage(
  tx: Transaction,
  { parent, directory }: { readonly parent: Inode; readonly directory: Inode },
  way: "comes" | "goes" | "comes to what hangs nowhere yet",
): Program<void> {
  const { told, known } = yield* readUsage(tx, directory);
  yield* addKnown(tx, parent, way === "goes" ? minus(told) : told);
  // Where nothing is known nothing waits. No quota has what hangs nowhere.
  if ((isNothing(known) && isNothing(told)) || way === "comes to what hangs nowhere yet") return;
  if ((yield* countQuotas(tx)) === 0) return;
  const all = yield* usageBelow(tx, directory);
  yield* addToQuotas(tx, parent, way === "comes" ? all : minus(all));
}

export function* hasNoUsage(tx: Reader, directory: Inode): Program<boolean> {
  const { known, told, waits } = yield* readUsage(tx, directory);
  return isNothing(known) && isNothing(told) && !waits;
}

/**
 * Directories that were made just now, each in the one before. Only the last may have been there before. All that is below the first of them is told at once, so that each costs one row: a deep path must not
 * take more than it has to.
 */
export function* countMade(tx: Transaction, above: Inode, made: readonly Inode[]): Program<void> {
  const [first] = made;
  if (first === undefined) return;
  if (yield* hasNoUsage(tx, made.at(-1) as Inode)) {
    for (const [index, inode] of made.slice(0, -1).entries()) {
      const below = { ...NOTHING_USED, inodes: made.length - 1 - index };
      writeUsage(tx, inode, { known: below, told: below, waits: false });
    }
    yield* addUsage(tx, above, { ...NOTHING_USED, inodes: made.length });
    return;
  }
  // The last one was there before, and has a history in it.
  for (const [index, inode] of made.entries()) {
    const parent = made[index - 1] ?? above;
    yield* addUsage(tx, parent, ONE_INODE);
    yield* hangUsage(tx, { parent, directory: inode }, "comes");
  }
}

const PAGE = 1_000;

/** All that lies below a directory. */
export function* usageBelow(tx: Reader, directory: Inode): Program<Usage> {
  let usage = (yield* readUsage(tx, directory)).known;
  const below = new Map<Inode, boolean>();
  let before: Inode | undefined;
  for (;;) {
    const waiting: Inode[] = yield* pageWaiting(tx, { limit: PAGE, ...(before === undefined ? {} : { before }) });
    for (const inode of waiting) {
      if (inode === directory || !(yield* isBelow(tx, { inode, directory }, below))) continue;
      usage = sum(usage, untold(yield* readUsage(tx, inode)));
    }
    if (waiting.length < PAGE) return usage;
    before = waiting.at(-1);
  }
}

/** What is there, and all that lies below it. */
export function* usageWith(tx: Reader, file: FileAttributes): Program<Usage> {
  const own = usageOfFile(file);
  return file.kind === "directory" ? sum(own, yield* usageBelow(tx, file.inode)) : own;
}

function untold({ known, told }: UsageRow): Usage {
  return sum(known, minus(told));
}

function* isBelow(
  tx: Reader,
  { inode, directory }: { readonly inode: Inode; readonly directory: Inode },
  known: Map<Inode, boolean>,
): Program<boolean> {
  const climbed = new Set<Inode>();
  let found: boolean | undefined = directory === ROOT_INODE ? true : undefined;
  for (let current: Inode | undefined = inode; found === undefined;) {
    // In a damaged catalog directories may hang in a circle.
    if (current === undefined || climbed.has(current)) found = false;
    else if (current === directory) found = true;
    else {
      found = known.get(current);
      climbed.add(current);
      const attributes: FileAttributes | undefined = yield* readAttributes(tx, current);
      current = attributes?.parent?.inode;
    }
  }
  for (const each of climbed) known.set(each, found);
  return found;
}

const ROOM_FOR_ONE = { writes: 4, sizeBytes: 1_024 };

/** Lets directories tell what waits, as many as there is room for; resolves with whether there is more. */
export function* tellUsage(tx: Transaction): Program<boolean> {
  let before: Inode | undefined;
  for (;;) {
    const [directory]: Inode[] = yield* pageWaiting(tx, { limit: 1, ...(before === undefined ? {} : { before }) });
    if (directory === undefined) return before !== undefined && (yield* pageWaiting(tx, { limit: 1 })).length > 0;
    if (!tx.hasRoom(ROOM_FOR_ONE)) return true;
    const row = yield* readUsage(tx, directory);
    const parent = (yield* readAttributes(tx, directory))?.parent?.inode;
    if (parent === undefined)
      throw new GfsError(
        "DataCorrupt",
        `Directory ${directory} hangs nowhere, and its usage waits; check the catalog.`,
      );
    yield* addKnown(tx, parent, untold(row));
    writeUsage(tx, directory, { known: row.known, told: row.known, waits: false });
    dropWaiting(tx, directory);
    before = directory;
  }
}

interface QuotaAbove {
  readonly inode: Inode;
  readonly quota: Quota;
}

/** Of the directory itself, and of those above it. */
export function* quotasAbove(tx: Reader, directory: Inode): Program<QuotaAbove[]> {
  if ((yield* countQuotas(tx)) === 0) return [];
  const found: QuotaAbove[] = [];
  for (let inode: Inode | undefined = directory; inode !== undefined;) {
    const quota = yield* readQuota(tx, inode);
    if (quota !== undefined) found.push({ inode, quota });
    const attributes: FileAttributes | undefined = yield* readAttributes(tx, inode);
    inode = attributes?.parent?.inode;
  }
  return found;
}

/**
 * After a change that made it more: throws when there is more than a quota allows, in the directory or in one above it. Quotas above `from` have what came before
 * already.
 */
export function* assertWithinQuotas(tx: Reader, directory: Inode, more: Usage, from?: Inode): Program<void> {
  const moreBytes = more.sizeBytes + more.olderBytes;
  if (moreBytes <= 0 && more.inodes <= 0) return;
  const above = yield* quotasAbove(tx, directory);
  if (above.length === 0) return;
  const had = new Set(from === undefined ? [] : (yield* quotasAbove(tx, from)).map(({ inode }) => inode));
  for (const { inode, quota } of above) {
    if (had.has(inode)) continue;
    const { maxBytes = Infinity, maxInodes = Infinity, used } = quota;
    const usedBytes = used.sizeBytes + used.olderBytes;
    if (moreBytes > 0 && usedBytes > maxBytes) throw exceeded(inode, `${maxBytes} bytes`, `${usedBytes}`);
    if (more.inodes > 0 && used.inodes > maxInodes) throw exceeded(inode, `${maxInodes} inodes`, `${used.inodes}`);
  }
}

function exceeded(directory: Inode, limit: string, wanted: string): GfsError {
  return new GfsError(
    "QuotaExceeded",
    `A quota allows ${limit} here, and with this there would be ${wanted}; remove something, or have the quota raised (globalfs quota set).`,
    { op: "namespace.quota", context: { directory, limit } },
  );
}
