import type { Inode } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { findFirst, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { leaveToPrune } from "./emptied-rows.ts";
import { isLeft } from "./extended-rows.ts";
import { historyIn } from "./history-rows.ts";
import { dropInode, readAttributes, writeAttributes } from "./inodes.ts";
import { LEVELS_AT_ONCE } from "./missing-levels.ts";
import { type Place, readEntry } from "./names.ts";
import {
  findPastIn,
  type Layer,
  layersOf,
  NAMELESS,
  namelessIn,
  pastIn,
  pastKey,
  type PastPlace,
  putPast,
} from "./past-rows.ts";
import { dropQuota } from "./quota-rows.ts";
import type { FileAttributes } from "./types.ts";
import { changeTree } from "./tree-row.ts";
import { hangUsage } from "./usage.ts";
import { dropUsage } from "./usage-rows.ts";

/** How directories become past, are there again, and go for good. */

/** Whether older versions or delete markers hang in it, or in past directories below it. */
export function* hasHistoryIn(tx: Reader, directory: Inode): Program<boolean> {
  for (const space of [historyIn(directory), pastIn(directory)])
    if ((yield* findFirst(tx, space)) !== undefined) return true;
  return false;
}

/** A directory that has lost its entry, and is empty: it is past while there is a history in it, else it is gone. */
export function* leaveDirectory(tx: Transaction, place: Place, directory: FileAttributes): Program<void> {
  const { inode } = directory;
  yield* dropInode(tx, directory);
  yield* dropQuota(tx, inode);
  if (!(yield* hasHistoryIn(tx, inode))) return yield* dropUsage(tx, inode);
  makePast(tx, place, inode);
  // What it is said to have below may be that of other past ones; who remembers it as a directory has to look for it.
  yield* changeTree(tx, { moves: 1 });
  yield* hangUsage(tx, { parent: place.parent, directory: inode }, "comes");
}

/** Of its attributes only those tell something that say where it hangs, and that no name leads to it. */
export function makePast(tx: Transaction, { parent, name }: Place, inode: Inode): void {
  writeAttributes(tx, {
    inode,
    kind: "directory",
    mode: 0,
    uid: 0,
    gid: 0,
    linkCount: 0,
    sizeBytes: 0,
    accessed: NEVER,
    modified: NEVER,
    changed: NEVER,
    created: NEVER,
    parent: { inode: parent, name: name.slice(0, -1) },
    implicit: true,
  });
  putPast(tx, { directory: parent, name, order: 0 }, inode);
}

const NEVER = momentOf(0);

/** The past directories of the name, the newest first, which hang nowhere from here on. The first may be the one that has the name in the directory itself. */
function* takeOut(tx: Transaction, { parent, name }: Place): Program<Layer[]> {
  const taken: Layer[] = [];
  for (const { inode: directory, covered } of yield* layersOf(tx, { inode: parent, covered: false })) {
    const inode = yield* findPastIn(tx, directory, name);
    if (inode === undefined) continue;
    tx.delete(pastKey({ directory, name, order: 0 }));
    yield* hangUsage(tx, { parent: directory, directory: inode }, "goes");
    yield* prunePast(tx, directory);
    taken.push({ inode, covered });
  }
  return taken;
}

/** A directory is made under a name: the past one that it is from now on, if there is one, else a new one. What hung below that of the name goes on below it. */
export function* makeAgain(tx: Transaction, place: Place, nextInode: () => Inode): Program<Inode> {
  const past = yield* takeOut(tx, place);
  const [first] = past;
  // What it has left behind, and was not cleared away yet, must not be found on the new one.
  const isAgain = first?.covered === false && !(yield* isLeft(tx, first.inode));
  const inode = isAgain ? first.inode : nextInode();
  yield* hangBelow(tx, inode, isAgain ? past.slice(1) : past, "comes to what hangs nowhere yet");
  return inode;
}

/** A directory has come to a name under which others were: their histories go on below its own. */
export function* coverPast(tx: Transaction, place: Place, directory: Inode): Program<void> {
  yield* hangBelow(tx, directory, yield* takeOut(tx, place), "comes");
}

function* hangBelow(
  tx: Transaction,
  directory: Inode,
  past: readonly Layer[],
  way: "comes" | "comes to what hangs nowhere yet",
): Program<void> {
  if (past.length === 0) return;
  let order = (yield* namelessIn(tx, directory)).at(-1)?.place.order ?? 0;
  for (const { inode } of past) {
    order += 1;
    putPast(tx, { directory, name: NAMELESS, order }, inode);
    yield* hangUsage(tx, { parent: directory, directory: inode }, way);
    yield* rehang(tx, inode, { inode: directory, name: NAMELESS });
  }
}

function* rehang(tx: Transaction, inode: Inode, parent: NonNullable<FileAttributes["parent"]>): Program<void> {
  const attributes = yield* readAttributes(tx, inode);
  if (attributes !== undefined) writeAttributes(tx, { ...attributes, parent });
}

/** After a row of history went: past directories in which nothing hangs any more go, up to the first that stays. Of many the upper ones are left to a walk. */
export function* prunePast(tx: Transaction, from: Inode): Program<void> {
  let inode = from;
  for (let levels = 0; ; levels++) {
    const past = yield* readAttributes(tx, inode);
    const parent = past?.parent;
    if (past === undefined || parent === undefined) return;
    if ((yield* isThere(tx, inode, parent)) || (yield* hasHistoryIn(tx, inode))) return;
    if (levels === LEVELS_AT_ONCE) return leaveToPrune(tx, { dueMs: 0, directory: inode });
    tx.delete(pastKey(yield* placeOf(tx, inode, parent)));
    yield* dropInode(tx, past);
    yield* hangUsage(tx, { parent: parent.inode, directory: inode }, "goes");
    yield* dropUsage(tx, inode);
    inode = parent.inode;
  }
}

function* placeOf(
  tx: Reader,
  past: Inode,
  { inode: directory, name }: NonNullable<FileAttributes["parent"]>,
): Program<PastPlace> {
  if (name !== NAMELESS) return { directory, name: `${name}/`, order: 0 };
  const order = (yield* namelessIn(tx, directory)).find(({ inode }) => inode === past)?.place.order ?? 0;
  return { directory, name, order };
}

function* isThere(tx: Reader, inode: Inode, parent: NonNullable<FileAttributes["parent"]>): Program<boolean> {
  if (parent.name === NAMELESS) return false;
  return (yield* readEntry(tx, parent.inode, `${parent.name}/`))?.inode === inode;
}
