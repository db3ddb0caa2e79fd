import { statfs } from "node:fs/promises";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";

/** Below this no write is taken: its object would land at a site and its record nowhere. */
const RESERVE_BYTES = 64 * 1024 ** 2;
const LOOK_EVERY_MS = 2_000;

export interface CatalogSpace {
  /** Throws `NoSpace`. Costs nothing: the disk is asked now and then. */
  assert(): void;
  stop(): void;
}

export async function watchCatalogSpace(directory: string, clock: Clock): Promise<CatalogSpace> {
  let freeBytes = Number.POSITIVE_INFINITY;
  let cancel: (() => void) | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    try {
      const { bavail, bsize } = await statfs(directory);
      freeBytes = bavail * bsize;
    } catch {
      // A disk that cannot be asked fails the writes themselves, with its own reason.
    }
    if (!stopped) cancel = clock.timer(LOOK_EVERY_MS, () => void look());
  };
  await look();
  return {
    assert() {
      if (freeBytes >= RESERVE_BYTES) return;
      throw new GfsError(
        "NoSpace",
        `The disk of the catalog (${directory}) is nearly full, so that nothing is written; free some space or move coordinator.data_dir.`,
      );
    },
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}
