import { closeSync } from "node:fs";
import os from "node:os";
import { loadFlock, LOCK_EXCLUSIVE, LOCK_NOW, LOCK_OFF, LOCK_SHARED } from "../../../../core/flock.ts";
import type { DiskLock } from "../../../../core/ports/disk.ts";
import { waitingCalls } from "./waiting-calls.ts";

/** syncfs(2) and flock(2), which Node has no calls for: what is done to a disk as a whole, and who may do it. */
interface Syncfs {
  (descriptor: number): number;
  async(descriptor: number, done: (error: Error | null, result: number) => void): void;
}

interface Library {
  readonly syncfs: Syncfs;
  errno(): number;
}

const NAMES = new Map(Object.entries(os.constants.errno).map(([name, value]) => [value, name]));

let loading: Promise<Library | undefined> | undefined;

async function load(): Promise<Library | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const syncfs = koffi.load(null).func("int syncfs(int descriptor)") as Syncfs;
    return { syncfs, errno: () => koffi.errno() };
  } catch {
    // There is no build of it for this processor.
    return undefined;
  }
}

export async function hasWholeDiskCalls(): Promise<boolean> {
  loading ??= load();
  return (await loading) !== undefined && (await loadFlock()) !== undefined;
}

export async function syncFileSystem(descriptor: number): Promise<void> {
  loading ??= load();
  const library = await loading;
  if (library === undefined) throw failure("ENOSYS", "syncfs");
  const { syncfs, errno } = library;
  const release = await waitingCalls.acquire();
  try {
    await new Promise<void>((resolve, reject) => {
      syncfs.async(descriptor, (error, result) => {
        if (error !== null) reject(error);
        else if (result === 0) resolve();
        else reject(failure(NAMES.get(errno()) ?? `ERRNO_${errno()}`, "syncfs"));
      });
    });
  } finally {
    release();
  }
}

/** Takes the descriptor, and closes it when the lock is released, or cannot be had. */
export async function lockFile(descriptor: number, kind: "shared" | "exclusive"): Promise<DiskLock | undefined> {
  const flock = await loadFlock();
  const release = (): void => {
    // A program that this process begins just now has the file open, too, for a moment.
    flock?.(descriptor, LOCK_OFF);
    closeSync(descriptor);
  };
  if (flock?.(descriptor, (kind === "shared" ? LOCK_SHARED : LOCK_EXCLUSIVE) | LOCK_NOW) === 0) return { release };
  closeSync(descriptor);
  if (flock === undefined) throw failure("ENOSYS", "flock");
  return undefined;
}

function failure(code: string, call: string): Error {
  return Object.assign(new Error(`${code}: ${call}`), { code, syscall: call });
}
