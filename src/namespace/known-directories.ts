import type { FilePath } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { type Place, readEntry } from "./names.ts";
import { splitPath } from "./path.ts";
import { readTree } from "./tree-row.ts";
import type { FileAttributes, KnownDirectory } from "./types.ts";
import { readUsage } from "./usage-rows.ts";

/** Instead of a look at each directory of a path: two rows tell, which a change in the directory needs anyway. Undefined: that look has to be taken. */
export function* placeInKnown(
  tx: Reader,
  path: FilePath,
  known: KnownDirectory | undefined,
): Program<Place | undefined> {
  if (known === undefined || known.moves !== (yield* readTree(tx)).moves) return undefined;
  const place: Place = { parent: known.inode, name: splitPath(path).name };
  // Only what is empty is removed.
  const hasEntries =
    (yield* readEntry(tx, place.parent, place.name)) !== undefined ||
    (yield* readUsage(tx, place.parent)).known.inodes > 0;
  return hasEntries ? place : undefined;
}

/** Where a file hangs that was found by its path. One with several names may say where another of them does. */
export function* directoryOf(
  tx: Reader,
  { parent, linkCount }: Pick<FileAttributes, "parent" | "linkCount">,
): Program<KnownDirectory | undefined> {
  if (parent === undefined || linkCount !== 1) return undefined;
  return { inode: parent.inode, moves: (yield* readTree(tx)).moves };
}

const MOST = 4_096;

/** Those of one process, by path. Only what a committed transaction has found belongs here. */
export class KnownDirectories {
  readonly #known = new Map<string, KnownDirectory>();

  of(path: FilePath): KnownDirectory | undefined {
    return this.#known.get(splitPath(path).parent);
  }

  learn(path: FilePath, known: KnownDirectory | undefined): void {
    const { parent } = splitPath(path);
    const before = this.#known.get(parent);
    if (known === undefined || parent === "" || (before?.inode === known.inode && before.moves === known.moves)) return;
    this.#known.delete(parent);
    this.#known.set(parent, known);
    if (this.#known.size <= MOST) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}
