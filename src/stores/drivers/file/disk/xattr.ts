import os from "node:os";

/**
 * Extended attributes through the C library, which Node has no calls for. The calls are made at once, on the event loop: they come
 * after an asynchronous open or stat that brought the inode into memory, and take about 2 us.
 */
interface Calls {
  fget(fd: number, name: string, value: Uint8Array | null, size: number): number;
  fset(fd: number, name: string, value: Uint8Array, size: number, flags: number): number;
  get(path: string, name: string, value: Uint8Array, size: number): number;
  lget(path: string, name: string, value: Uint8Array, size: number): number;
  errno(): number;
}

let loading: Promise<Calls | undefined> | undefined;

async function load(): Promise<Calls | undefined> {
  if (process.platform !== "linux") return undefined;
  let koffi: typeof import("koffi").default;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch {
    // There is no build of it for this processor: objects are kept without attributes.
    return undefined;
  }
  const library = koffi.load(null);
  // ssize_t is no type that koffi knows; on Linux a long is as wide.
  return {
    fget: library.func("long fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t size)") as Calls["fget"],
    fset: library.func(
      "int fsetxattr(int fd, const char *name, const uint8_t *value, size_t size, int flags)",
    ) as Calls["fset"],
    get: library.func(
      "long getxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)",
    ) as Calls["get"],
    lget: library.func(
      "long lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)",
    ) as Calls["lget"],
    errno: () => koffi.errno(),
  };
}

async function calls(): Promise<Calls | undefined> {
  loading ??= load();
  return await loading;
}

const FIRST_GUESS_BYTES = 1_024;
const MAX_BYTES = 65_536;
const { ENODATA, ENOTSUP, ENOENT, ERANGE } = os.constants.errno;

function failure(errno: number, call: string): Error {
  const code = Object.entries(os.constants.errno).find(([, value]) => value === errno)?.[0] ?? `ERRNO_${errno}`;
  return Object.assign(new Error(`${code}: ${call}`), { code, errno, syscall: call });
}

export async function getXattr(fd: number, name: string): Promise<Uint8Array | undefined> {
  const found = await calls();
  if (found === undefined) return undefined;
  for (let size = FIRST_GUESS_BYTES; ; size = MAX_BYTES) {
    const buffer = Buffer.allocUnsafe(size);
    const length = found.fget(fd, name, buffer, size);
    if (length >= 0) return buffer.subarray(0, length);
    const errno = found.errno();
    if (errno === ENODATA || errno === ENOTSUP) return undefined;
    if (errno !== ERANGE || size === MAX_BYTES) throw failure(errno, "fgetxattr");
  }
}

/** Rejects with ENOTSUP where the file system or the platform keeps none. */
export async function setXattr(fd: number, name: string, value: Uint8Array): Promise<void> {
  const found = await calls();
  if (found === undefined) throw failure(ENOTSUP, "fsetxattr");
  if (found.fset(fd, name, value, value.byteLength, 0) !== 0) throw failure(found.errno(), "fsetxattr");
}

/** Call it after a `stat` of the path, which has brought the inode into memory. */
export async function lgetXattr(path: string, name: string): Promise<Uint8Array | undefined> {
  const found = await calls();
  return found === undefined ? undefined : ofPath(found, "lget", path, name);
}

/** Of what was opened to be looked at only (O_PATH), of which the kernel takes no descriptor here. */
export async function getXattrOfEntry(fd: number, name: string): Promise<Uint8Array | undefined> {
  const found = await calls();
  return found === undefined ? undefined : ofPath(found, "get", `/proc/self/fd/${fd}`, name);
}

function ofPath(found: Calls, call: "get" | "lget", path: string, name: string): Uint8Array | undefined {
  for (let size = FIRST_GUESS_BYTES; ; size = MAX_BYTES) {
    const buffer = Buffer.allocUnsafe(size);
    const length = found[call](path, name, buffer, size);
    if (length >= 0) return buffer.subarray(0, length);
    const errno = found.errno();
    if (errno === ENODATA || errno === ENOTSUP || errno === ENOENT) return undefined;
    if (errno !== ERANGE || size === MAX_BYTES) throw failure(errno, `${call}xattr`);
  }
}
