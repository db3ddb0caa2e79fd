import { GfsError } from "../core/errors.ts";
import type { Inode } from "../core/ids.ts";
import type { Program, Transaction, TransactOptions } from "../kv/index.ts";
import { dropEmptied, dueEmptied, type Emptied, leftBy, putEmptied } from "./emptied-rows.ts";
import { readAttributes } from "./inodes.ts";
import { LEVELS_AT_ONCE, type Levels, MissingLevels } from "./missing-levels.ts";
import { prunePast } from "./past-directories.ts";
import { componentsOf } from "./path.ts";
import { pruneUpwards } from "./tree.ts";

/**
 * Paths with more levels than one transaction can make or take away. Those above what is written are made first, in steps, and those that a delete does not get to
 * are taken away behind it. A row says so, by which the leader takes away what was left by a process that died in between.
 */

export type Transact = <T>(
  program: (tx: Transaction, nextInode: () => Inode) => Program<T>,
  options?: TransactOptions,
) => Promise<T>;

/** A write that has made its directories comes to its commit within this time, or makes them again. */
const PATIENCE_MS = 60_000;
/** Another writer's failure takes away what this one relies on, so that it has to be made again. */
const MOST_ATTEMPTS = 100;
/** The commit behind it makes it durable, and what a crash undoes of taking away is done again: its row comes back. */
const STEP = { durability: "visible" } as const;

export function deepening(transact: Transact): Transact {
  return async (program, options) => {
    const made: Made[] = [];
    for (;;) {
      let committed: Transaction | undefined;
      try {
        const result = await transact((tx, nextInode) => {
          committed = tx;
          return program(tx, nextInode);
        }, options);
        for (const emptied of committed === undefined ? [] : leftBy(committed))
          await pruneAll(transact, { emptied, nowMs: emptied.dueMs });
        return result;
      } catch (error) {
        const failure = error instanceof MissingLevels ? await makeAll(transact, error.levels, made) : error;
        if (failure === undefined) continue;
        for (const each of made) await pruneAll(transact, each);
        throw failure;
      }
    }
  };
}

interface Made {
  readonly emptied: Emptied;
  readonly nowMs: number;
}

/** From the top; resolves with why that could not be. */
async function makeAll(transact: Transact, levels: Levels, made: Made[]): Promise<unknown> {
  if (made.length === MOST_ATTEMPTS)
    return new GfsError("Conflict", `Others make and remove the directories above ${levels.path}; try again.`, {
      retry: "safe",
    });
  const { nowMs } = levels;
  const components = componentsOf(levels.path);
  let last: Emptied | undefined;
  try {
    for (let depth = levels.known + LEVELS_AT_ONCE; depth < components.length; depth += LEVELS_AT_ONCE) {
      const before = last;
      const path = components.slice(0, depth).join("/");
      last = await transact(function* (tx, nextInode): Program<Emptied> {
        tx.claimRoom();
        const emptied = { dueMs: nowMs + PATIENCE_MS, directory: yield* levels.make(tx, path, nextInode) };
        if (before !== undefined) dropEmptied(tx, before);
        putEmptied(tx, emptied);
        return emptied;
      }, STEP);
    }
    return undefined;
  } catch (error) {
    // What was there is gone: the next attempt says anew what is missing.
    return error instanceof MissingLevels ? undefined : error;
  } finally {
    if (last !== undefined) made.push({ emptied: last, nowMs });
  }
}

/** Whatever keeps it from its end, the row that is left tells the leader. */
async function pruneAll(transact: Transact, first: Made): Promise<void> {
  try {
    let next: readonly Emptied[] = [first.emptied];
    while (next.length > 0) {
      const some = next;
      next = await transact(function* (tx): Program<readonly Emptied[]> {
        for (const emptied of some) yield* prune(tx, emptied, first.nowMs);
        return leftBy(tx);
      }, STEP);
    }
  } catch {
    return;
  }
}

function* prune(tx: Transaction, emptied: Emptied, nowMs: number): Program<void> {
  dropEmptied(tx, emptied);
  const { directory } = emptied;
  const attributes = yield* readAttributes(tx, directory);
  if (attributes?.kind !== "directory") return;
  if (attributes.linkCount === 0) yield* prunePast(tx, directory);
  else yield* pruneUpwards(tx, directory, nowMs);
}

/** Takes away what was left behind; resolves with whether there is more. */
export function* pruneDue(tx: Transaction, nowMs: number): Program<boolean> {
  const [emptied] = yield* dueEmptied(tx, nowMs, 1);
  if (emptied === undefined) return false;
  yield* prune(tx, emptied, nowMs);
  return true;
}
