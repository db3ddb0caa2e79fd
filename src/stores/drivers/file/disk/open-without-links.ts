import { closeSync, constants } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import { descriptor } from "./descriptor.ts";
import { waitingCalls } from "./waiting-calls.ts";

/**
 * Paths of which no component may be a symbolic link, so that nothing below a site's directory leads out of it, also while somebody swaps
 * directories for links. openat2(2) with RESOLVE_NO_SYMLINKS finds the directory in one call that the kernel does not let anybody come between;
 * what is then done there is named by its descriptor. Without that call (before Linux 5.6, or forbidden by a sandbox) the directories are opened
 * one by one, each in the one before it, which is as safe and slower. Where there is no /proc (other systems) each component is looked at first: a
 * link that lies there is not followed, but whoever can swap one in at the right moment is not held off.
 */

/** A directory that was reached. What is named below `path` lies in it and nowhere else, until it is released. */
export interface Reached {
  readonly path: string;
  release(): void;
}

export interface Opened {
  readonly descriptor: number;
  readonly close: (descriptor: number) => unknown;
}

type OpenAt = (number: number, directory: number, path: string, how: Uint8Array, size: number) => number;
interface OpenAt2 extends OpenAt {
  async(...args: [...Parameters<OpenAt>, (error: Error | null, descriptor: number) => void]): void;
}

interface Calls {
  readonly openat2: OpenAt2;
  /** Whether the kernel can be asked for what it finds without waiting for a disk. */
  readonly knowsCached: boolean;
  /** For descriptors that the kernel gave us past Node, which in a worker thread wonders about them. */
  readonly close: (descriptor: number) => number;
  errno(): number;
}

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_CACHED = 0x20;
/** The same on all processors. */
const SYSCALL_OPENAT2 = 437;
const AT_FDCWD = -100;
const HOW_BYTES = 24;

/** As `struct open_how`: flags, mode, resolve. */
function how(flags: number, resolve: number): Buffer {
  const bytes = Buffer.alloc(HOW_BYTES);
  bytes.writeBigUInt64LE(BigInt(flags), 0);
  bytes.writeBigUInt64LE(BigInt(resolve), 16);
  return bytes;
}

const DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC;
const REACH = how(DIRECTORY, RESOLVE_NO_SYMLINKS);
const REACH_CACHED = how(DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_CACHED);
/** A pipe that nobody writes to would keep its opener waiting; to files it makes no difference. */
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
const CACHED = {
  file: how(READ, RESOLVE_NO_SYMLINKS | RESOLVE_CACHED),
  /** Not with O_NOFOLLOW, which would say of a link that it is no directory. */
  directory: how((READ & ~O_NOFOLLOW) | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_CACHED),
  /** Whatever has the name, a link itself included, to be looked at only. */
  entry: how(O_PATH | O_NOFOLLOW | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_CACHED),
};

export type Cached = keyof typeof CACHED;

const NAMES = new Map(Object.entries(os.constants.errno).map(([name, value]) => [value, name]));
const { EAGAIN } = os.constants.errno;

/** Like those of Node's own calls without a stack, which here costs more than the call. */
function failure(errno: number, path: string): Error {
  const code = NAMES.get(errno) ?? `ERRNO_${errno}`;
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new Error(`${code}: openat2 '${path}'`);
  Error.stackTraceLimit = limit;
  return Object.assign(error, { code, errno, syscall: "openat2", path });
}

let loaded: Calls | "walk" | "look" | undefined;
let loading: Promise<Calls | "walk" | "look"> | undefined;

async function load(): Promise<Calls | "walk" | "look"> {
  const hasDescriptors = await fs.stat("/proc/self/fd").then(
    () => process.platform === "linux",
    () => false,
  );
  if (!hasDescriptors) return "look";
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(null);
    const openat2 = library.func(
      "long syscall(long number, int directory, const char *path, const uint8_t *how, size_t size)",
    ) as OpenAt2;
    const close = library.func("int close(int descriptor)") as Calls["close"];
    const works = (bytes: Uint8Array): boolean => {
      const found = openat2(SYSCALL_OPENAT2, AT_FDCWD, "/", bytes, HOW_BYTES);
      if (found >= 0) close(found);
      return found >= 0;
    };
    if (!works(REACH)) return "walk";
    return { openat2, knowsCached: works(REACH_CACHED), close, errno: () => koffi.errno() };
  } catch {
    // There is no build of it for this processor.
    return "walk";
  }
}

async function ways(): Promise<Calls | "walk" | "look"> {
  loading ??= load();
  loaded = await loading;
  return loaded;
}

/** How links are kept from being followed here; what is less than safe is for the operator to know. */
export async function linkSafety(): Promise<"kernel" | "walk" | "look"> {
  const way = await ways();
  return typeof way === "string" ? way : "kernel";
}

/** How an open file or directory is named by its descriptor, so that nobody can put another one in its place. Undefined: there is no way. */
export function nameOf(descriptor: number): string | undefined {
  return process.platform !== "linux" || loaded === "look" ? undefined : `/proc/self/fd/${descriptor}`;
}

/** Rejects, or throws, with ELOOP or ENOTDIR when a component is a link. Without a promise where nothing is waited for. */
export type Reach = (directory: string) => Reached | Promise<Reached>;

/** The best way there is here. */
export const reach: Reach = (directory) => {
  if (loaded === undefined) return ways().then(async () => await reach(directory));
  if (loaded === "look") return reachByLooking(directory);
  if (loaded === "walk") return reachByWalking(directory);
  const { openat2, knowsCached, errno, close } = loaded;
  if (knowsCached) {
    const found = openat2(SYSCALL_OPENAT2, AT_FDCWD, directory, REACH_CACHED, HOW_BYTES);
    if (found >= 0) return byDescriptor(found, close);
    const reason = errno();
    if (reason !== EAGAIN) throw failure(reason, directory);
  }
  return reachByWaiting(loaded, directory);
};

/**
 * Opens what the kernel has at hand without a look at the disk: about a microsecond, where a trip through the thread pool costs ten. Undefined: ask
 * in the usual way. Only for file systems of this machine, whose `open` waits for nobody.
 */
export function openCached(path: string, kind: Cached): Opened | undefined {
  if (loaded === undefined || typeof loaded === "string" || !loaded.knowsCached) return undefined;
  const found = loaded.openat2(SYSCALL_OPENAT2, AT_FDCWD, path, CACHED[kind], HOW_BYTES);
  if (found >= 0) return { descriptor: found, close: loaded.close };
  const errno = loaded.errno();
  if (errno === EAGAIN) return undefined;
  throw failure(errno, path);
}

async function reachByWaiting({ openat2, errno, close }: Calls, path: string): Promise<Reached> {
  const release = await waitingCalls.acquire();
  try {
    return await new Promise((resolve, reject) => {
      openat2.async(SYSCALL_OPENAT2, AT_FDCWD, path, REACH, HOW_BYTES, (error, found) => {
        if (error !== null) reject(error);
        else if (found < 0) reject(failure(errno(), path));
        else resolve(byDescriptor(found, close));
      });
    });
  } finally {
    release();
  }
}

function byDescriptor(directory: number, close: Opened["close"]): Reached {
  return { path: `/proc/self/fd/${directory}`, release: () => void close(directory) };
}

export const reachByWalking = async (path: string): Promise<Reached> => {
  let directory = await descriptor("/", DIRECTORY);
  for (const name of path.split("/")) {
    if (name === "") continue;
    const before = directory;
    try {
      directory = await descriptor(`/proc/self/fd/${before}/${name}`, DIRECTORY | O_NOFOLLOW);
    } finally {
      closeSync(before);
    }
  }
  return byDescriptor(directory, closeSync);
};

export const reachByLooking = async (path: string): Promise<Reached> => {
  let at = "";
  for (const name of path.split("/")) {
    if (name === "") continue;
    at = `${at}/${name}`;
    const stat = await fs.lstat(at);
    if (!stat.isDirectory()) {
      const code = stat.isSymbolicLink() ? "ELOOP" : "ENOTDIR";
      throw Object.assign(new Error(`${code}: '${at}'`), { code });
    }
  }
  return { path: at === "" ? "/" : at, release: () => undefined };
};
