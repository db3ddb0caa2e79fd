import { fstatSync, writeSync } from "node:fs";
import { GfsError } from "../../core/errors.ts";

/**
 * Takes up room for pages before the library writes them. A commit for which the disk has none is refused here, whole: the library describes what it could
 * not write in memory that is too short for it. It also makes flushes cheaper, since most of them find a file whose size has not changed.
 */
const SMALLEST_STEP_BYTES = 1024 ** 2;
const LARGEST_STEP_BYTES = 8 * 1024 ** 2;
const PIECE_BYTES = 256 * 1024;
/** The paths to rows that lie apart, with pages that are split, and those of the list of free pages. */
const PAGES_A_WRITE = 6;
const PAGES_A_COMMIT = 32;

export interface FileRoomDeps {
  readonly descriptor: number;
  readonly pageBytes: number;
  /** The last one that is in use. */
  readonly lastPage: () => number;
}

export class FileRoom {
  readonly #deps: FileRoomDeps;
  /** At least so many pages are there beyond those in use. */
  #surePages = 0;

  constructor(deps: FileRoomDeps) {
    this.#deps = deps;
  }

  /** Throws `NoSpace` when what is about to be committed may not fit. */
  ensure({ writes, sizeBytes }: { readonly writes: number; readonly sizeBytes: number }): void {
    const { descriptor, pageBytes, lastPage } = this.#deps;
    const pages = PAGES_A_COMMIT + writes * PAGES_A_WRITE + Math.ceil((2 * sizeBytes) / pageBytes);
    this.#surePages -= pages;
    if (this.#surePages >= 0) return;
    // Whatever the library wrote is within the file.
    const fileBytes = Math.ceil(fstatSync(descriptor).size / pageBytes) * pageBytes;
    const free = Math.floor(fileBytes / pageBytes) - (lastPage() + 1);
    this.#surePages = free - pages;
    if (this.#surePages >= 0) return;
    const least = -this.#surePages * pageBytes;
    const step = Math.max(least, Math.min(LARGEST_STEP_BYTES, Math.max(SMALLEST_STEP_BYTES, fileBytes / 8)));
    const added = this.#extend(fileBytes, Math.ceil(step / pageBytes) * pageBytes);
    this.#surePages += Math.floor(added / pageBytes);
    if (this.#surePages >= 0) return;
    this.#surePages = 0;
    throw new GfsError(
      "NoSpace",
      "The disk that holds the catalog is full; free some space or move coordinator.data_dir.",
      { op: "kv.transact" },
    );
  }

  /** By as much as there is room for. */
  #extend(fromBytes: number, byBytes: number): number {
    const piece = Buffer.alloc(Math.min(byBytes, PIECE_BYTES));
    let added = 0;
    while (added < byBytes) {
      try {
        const written = writeSync(
          this.#deps.descriptor,
          piece,
          0,
          Math.min(piece.length, byBytes - added),
          fromBytes + added,
        );
        if (written === 0) return added;
        added += written;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") return added;
        throw error;
      }
    }
    return added;
  }
}
