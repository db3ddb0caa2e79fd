import { open } from "node:fs/promises";
import path from "node:path";
import { GfsError } from "../../core/errors.ts";

/**
 * One process a directory. The kernel holds the lock for the open file and drops it when the process ends, however it ends, so a lock
 * never has to be cleaned up.
 */
const LOCK_EXCLUSIVE_NOW = 2 | 4;

export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const file = await open(path.join(directory, "lock"), "a+", 0o600);
  const flock = await loadFlock();
  if (flock !== undefined && flock(file.fd, LOCK_EXCLUSIVE_NOW) !== 0) {
    const holder = (await file.readFile("utf8")).trim();
    await file.close();
    throw new GfsError(
      "ConfigInvalid",
      `Another coordinator${holder === "" ? "" : ` (process ${holder})`} uses ${directory}; stop it or choose another coordinator.data_dir.`,
    );
  }
  await file.truncate(0);
  await file.write(`${process.pid}\n`);
  return async () => await file.close();
}

type Flock = (descriptor: number, operation: number) => number;

let loaded: Promise<Flock | undefined> | undefined;

async function loadFlock(): Promise<Flock | undefined> {
  loaded ??= (async () => {
    const library = C_LIBRARIES[process.platform];
    if (library === undefined) return undefined;
    const { default: koffi } = await import("koffi");
    for (const name of library) {
      try {
        return koffi.load(name).func("int flock(int, int)");
      } catch {
        // The next name is that of another C library, such as musl's.
      }
    }
    return undefined;
  })();
  return await loaded;
}

const C_LIBRARIES: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ["libc.so.6", "libc.so"],
  darwin: ["libSystem.dylib"],
};
