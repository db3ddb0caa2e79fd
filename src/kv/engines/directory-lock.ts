import { open } from "node:fs/promises";
import path from "node:path";
import { GfsError } from "../../core/errors.ts";
import { loadFlock, LOCK_EXCLUSIVE, LOCK_NOW, LOCK_OFF } from "../../core/flock.ts";

/**
 * One process a directory. The kernel holds the lock for the open file and drops it when the process ends, however it ends, so a lock
 * never has to be cleaned up.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const file = await open(path.join(directory, "lock"), "a+", 0o600);
  const flock = await loadFlock();
  if (flock !== undefined && flock(file.fd, LOCK_EXCLUSIVE | LOCK_NOW) !== 0) {
    const holder = (await file.readFile("utf8")).trim();
    await file.close();
    throw new GfsError(
      "ConfigInvalid",
      `Another coordinator${holder === "" ? "" : ` (process ${holder})`} uses ${directory}; stop it or choose another coordinator.data_dir.`,
    );
  }
  await file.truncate(0);
  await file.write(`${process.pid}\n`);
  return async () => {
    // A program that this process begins just now has the file open, too, for a moment.
    flock?.(file.fd, LOCK_OFF);
    await file.close();
  };
}
