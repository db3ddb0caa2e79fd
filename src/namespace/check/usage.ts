import type { Inode } from "../../core/ids.ts";
import { keyAfter, type KvEntry, prefixRange, type Program, type Reader } from "../../kv/index.ts";
import { decodeHistory, historyIn, historySpace } from "../history-rows.ts";
import { readAttributes, readContent } from "../inodes.ts";
import { decodePast, pastIn } from "../past-rows.ts";
import { countQuotas, decodeQuota, quotaSpace } from "../quota-rows.ts";
import { decodeEntry, entryKey, entrySpace, inodeOfKey, nameOfEntryKey, parentOfEntryKey } from "../rows.ts";
import { ONE_INODE, usageBelow, usageOfFile } from "../usage.ts";
import {
  isNothing,
  isSameUsage,
  isWaiting,
  NOTHING_USED,
  decodeUsage,
  readUsage,
  sum,
  type Usage,
  usageSpace,
  waitingSpace,
} from "../usage-rows.ts";
import type { Scan } from "./scan.ts";

/** What directories and quotas say of what lies below them, held against that: what hangs in a directory is counted, and what those in it have told. */

export async function checkUsage(scan: Scan): Promise<void> {
  const { fault } = scan;
  await scan.rows(usageSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    const { known, told, waits } = decodeUsage(row.value);
    const found = yield* countIn(tx, inode);
    if (!isSameUsage(known, found)) fault(lie(inode, known, found));
    const attributes = yield* readAttributes(tx, inode);
    if (attributes?.kind !== "directory") fault(`There is usage of inode ${inode}, which is no directory.`);
    if (attributes?.parent !== undefined && !isSameUsage(known, told) && !waits)
      fault(`Directory ${inode} has not told all of its usage, and does not say so.`);
    if (waits !== (yield* isWaiting(tx, inode)))
      fault(
        `Directory ${inode} says that it ${waits ? "waits" : "does not wait"} to tell its usage, and its row says otherwise.`,
      );
  });
  await scan.rows(waitingSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    if (!(yield* readUsage(tx, inode)).waits) fault(`Directory ${inode} is to tell its usage, and does not say so.`);
  });
  await checkUncounted(scan);
  await checkQuotas(scan);
}

/** Directories without a row have nothing in them that counts. */
async function checkUncounted(scan: Scan): Promise<void> {
  let last: Inode | undefined;
  const look = function* (tx: Reader, directory: Inode): Program<void> {
    if (directory === last) return;
    last = directory;
    if (!isNothing((yield* readUsage(tx, directory)).known)) return;
    const found = yield* countIn(tx, directory);
    if (!isNothing(found)) scan.fault(lie(directory, NOTHING_USED, found));
  };
  await scan.rows(entrySpace, (tx, row) => look(tx, parentOfEntryKey(row.key)));
  await scan.rows(historySpace, (tx, row) => look(tx, decodeHistory(row.key, row.value).directory));
}

async function checkQuotas(scan: Scan): Promise<void> {
  let quotas = 0;
  await scan.rows(quotaSpace, function* (tx, row) {
    quotas += 1;
    const inode = inodeOfKey(row.key);
    const { used } = decodeQuota(row.value);
    const found = yield* usageBelow(tx, inode);
    if (!isSameUsage(used, found))
      scan.fault(`The quota of directory ${inode} counts ${shown(used)}, and there are ${shown(found)}.`);
  });
  await scan.once(function* (tx) {
    if ((yield* countQuotas(tx)) !== quotas) scan.fault(`There are ${quotas} quotas, and the catalog says otherwise.`);
  });
}

/** What hangs in a directory, and what the directories in it, past ones among them, have told. */
function* countIn(tx: Reader, directory: Inode): Program<Usage> {
  let usage = NOTHING_USED;
  yield* eachRow(tx, entryKey(directory, ""), function* ({ key, value }) {
    const { inode, kind } = decodeEntry(value);
    const attributes = yield* readAttributes(tx, inode);
    if (attributes === undefined) return;
    if (kind === "directory") usage = sum(sum(usage, ONE_INODE), (yield* readUsage(tx, inode)).told);
    else if (attributes.parent?.inode === directory && attributes.parent.name === nameOfEntryKey(key))
      usage = sum(usage, usageOfFile(attributes));
  });
  yield* eachRow(tx, historyIn(directory), function* ({ key, value }) {
    const { inode } = decodeHistory(key, value);
    const olderBytes = inode === undefined ? 0 : ((yield* readContent(tx, inode))?.sizeBytes ?? 0);
    usage = sum(usage, { ...NOTHING_USED, olderBytes });
  });
  yield* eachRow(tx, pastIn(directory), function* ({ value }) {
    usage = sum(usage, (yield* readUsage(tx, decodePast(value))).told);
  });
  return usage;
}

const PAGE = 1_000;

function* eachRow(tx: Reader, prefix: Uint8Array, work: (row: KvEntry) => Program<void>): Program<void> {
  const range = prefixRange(prefix);
  for (let start = range.start; ;) {
    const rows: KvEntry[] = yield* tx.range({ start, end: range.end, limit: PAGE });
    for (const row of rows) yield* work(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    start = keyAfter(last.key);
  }
}

function lie(directory: Inode, says: Usage, are: Usage): string {
  return `Directory ${directory} says that ${shown(says)} lie below it, and there are ${shown(are)}.`;
}

function shown({ sizeBytes, inodes, olderBytes }: Usage): string {
  return `${inodes} inodes with ${sizeBytes} bytes and ${olderBytes} of older versions`;
}
