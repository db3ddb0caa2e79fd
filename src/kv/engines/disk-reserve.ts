import { randomBytes } from "node:crypto";
import { open, rm, stat, statfs, truncate } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * A file that only takes up room beside the catalog. A delete, too, has to be written down; where others have filled the disk to the last block some of this
 * is given up for it.
 */
export interface DiskReserve {
  /** Gives up a step of it. False when nothing is left. */
  release(): Promise<boolean>;
  /** Takes up again what was given up, where the disk has plenty of room. */
  restore(): Promise<void>;
  /** Some of it was given up, or was never there. */
  readonly isShort: boolean;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

export const RESERVE_BYTES = 8 * 1024 ** 2;
/** Whoever fills the disk gets what a step leaves over, so that it is small; a commit takes less. */
const STEP_BYTES = 256 * 1024;
/** The reserve is for when all goes wrong, and takes nothing from a disk that is short of room already. */
const PLENTY_BYTES = 128 * 1024 ** 2;
const PIECE_BYTES = 1024 ** 2;

export async function openDiskReserve(file: string): Promise<DiskReserve> {
  let sizeBytes = 0;
  let working: Promise<unknown> = Promise.resolve();
  /** One after another. */
  const next = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = working.then(work);
    working = result.catch(() => undefined);
    return await result;
  };

  const restore = async (): Promise<void> => {
    try {
      const { bavail, bsize } = await statfs(dirname(file));
      if (sizeBytes === RESERVE_BYTES || bavail * bsize < PLENTY_BYTES) return;
      const handle = await open(file, "w", 0o600);
      try {
        // A file system that compresses must not make nothing of it.
        const piece = randomBytes(PIECE_BYTES);
        for (let at = 0; at < RESERVE_BYTES; at += PIECE_BYTES) await handle.appendFile(piece);
      } finally {
        await handle.close();
      }
      sizeBytes = RESERVE_BYTES;
    } catch {
      // Without a reserve everything works, as long as there is room.
      sizeBytes = 0;
      await rm(file, { force: true }).catch(() => undefined);
    }
  };

  const release = async (): Promise<boolean> => {
    if (sizeBytes === 0) return false;
    sizeBytes = Math.max(0, sizeBytes - STEP_BYTES);
    try {
      await truncate(file, sizeBytes);
      return true;
    } catch {
      sizeBytes = 0;
      return false;
    }
  };

  try {
    sizeBytes = Math.min(RESERVE_BYTES, (await stat(file)).size);
  } catch {
    // There is none yet.
  }
  const reserve: DiskReserve = {
    release: async () => await next(release),
    restore: async () => await next(restore),
    get isShort() {
      return sizeBytes < RESERVE_BYTES;
    },
    close: async () => await next(async () => undefined),
  };
  await reserve.restore();
  return reserve;
}
