import { Errno } from "../../protocol/errors.ts";
import type { ReaddirRequest } from "../../protocol/requests-files.ts";
import type { Child, MemoryNode } from "./node.ts";

const AFTER_DOT = 1;
const AFTER_DOTS = 2;

/** How far one open directory has been listed. The iterator of a map follows what is added and removed while it runs. */
interface Cursor {
  offset: number;
  names: MapIterator<[string, Child]> | undefined;
  /** What was taken from the iterator and did not fit any more. */
  waiting: readonly [string, Child] | undefined;
}

/** The directories that are open. */
export class Listings {
  readonly #cursors = new Map<number, Cursor>();
  #nextHandle = 1;

  open(): number {
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#cursors.set(handle, { offset: 0, names: undefined, waiting: undefined });
    return handle;
  }

  close(handle: number): void {
    this.#cursors.delete(handle);
  }

  /** Fills a listing; `counted` hears of each node that the kernel now knows once more. */
  fill(request: ReaddirRequest, directory: MemoryNode, counted: (node: MemoryNode) => void): Errno | undefined {
    const { children } = directory;
    const cursor = this.#cursors.get(request.handle);
    if (children === undefined) return Errno.ENOTDIR;
    if (cursor === undefined) return Errno.EBADF;
    const { listing, offset } = request;
    if (offset < AFTER_DOT && !listing.add(".", AFTER_DOT, directory)) return undefined;
    if (offset < AFTER_DOTS && !listing.add("..", AFTER_DOTS, directory.parent ?? directory)) return undefined;
    if (cursor.names === undefined || cursor.offset !== offset) {
      cursor.names = children.byName.entries();
      cursor.waiting = undefined;
    }
    const { names } = cursor;
    cursor.offset = Math.max(offset, AFTER_DOTS);
    for (;;) {
      const next = cursor.waiting ?? names.next().value;
      cursor.waiting = undefined;
      if (next === undefined) {
        // A finished iterator stays finished, even if names are added. The next call begins a new one and skips what was listed.
        cursor.names = undefined;
        return undefined;
      }
      const [name, child] = next;
      if (child.cookie <= cursor.offset || children.byName.get(name) !== child) continue;
      const outcome = listing.addEntry(name, child.cookie, child.node);
      if (outcome === "full") {
        cursor.waiting = next;
        return undefined;
      }
      if (outcome === "counted") counted(child.node);
      cursor.offset = child.cookie;
    }
  }
}
