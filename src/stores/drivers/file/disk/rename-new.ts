import { link, lstat, rename, unlink } from "node:fs/promises";
import os from "node:os";
import { waitingCalls } from "./waiting-calls.ts";

/** renameat2(2) with RENAME_NOREPLACE, which Node has no call for: a file gets a name in one step, and only while nobody has it. */
type Call = (fromDirectory: number, from: string, toDirectory: number, to: string, flags: number) => number;
interface AsyncCall extends Call {
  async(...args: [...Parameters<Call>, (error: Error | null, result: number) => void]): void;
}

interface Library {
  readonly renameat2: AsyncCall;
  errno(): number;
}

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const NAMES = new Map(Object.entries(os.constants.errno).map(([name, value]) => [value, name]));
/** The kernel, or the file system, does not know it. */
const UNKNOWN: ReadonlySet<string> = new Set(["ENOSYS", "EINVAL", "ENOTSUP", "EOPNOTSUPP"]);
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "ENOSYS", "EACCES"]);

let loading: Promise<Library | undefined> | undefined;

async function load(): Promise<Library | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const renameat2 = koffi
      .load(null)
      .func(
        "int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags)",
      ) as AsyncCall;
    return { renameat2, errno: () => koffi.errno() };
  } catch {
    // There is no build of it for this processor, or the C library is an old one.
    return undefined;
  }
}

/** Rejects with EEXIST when `to` exists, whatever it is. */
export async function renameNew(from: string, to: string): Promise<void> {
  loading ??= load();
  const library = await loading;
  const code = library === undefined ? "ENOSYS" : await call(library, from, to);
  if (code === undefined) return;
  if (!UNKNOWN.has(code)) throw failure(code, to);
  await renameByLinking(from, to);
}

async function call({ renameat2, errno }: Library, from: string, to: string): Promise<string | undefined> {
  const release = await waitingCalls.acquire();
  try {
    return await new Promise((resolve, reject) => {
      renameat2.async(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE, (error, result) => {
        if (error !== null) reject(error);
        else if (result === 0) resolve(undefined);
        else resolve(NAMES.get(errno()) ?? `ERRNO_${errno()}`);
      });
    });
  } finally {
    release();
  }
}

/** Where the kernel has no call for it: a second name, which nobody's name gives way to either. */
export async function renameByLinking(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!NO_LINKS.has(String((error as { code?: unknown }).code))) throw error;
    await renameByLooking(from, to);
    return;
  }
  await unlink(from);
}

/** Where files have one name only: somebody else may come between the look and the rename. */
async function renameByLooking(from: string, to: string): Promise<void> {
  const isThere = await lstat(to).then(
    () => true,
    (error: { code?: unknown }) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  if (isThere) throw failure("EEXIST", to);
  await rename(from, to);
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: renameat2 '${path}'`), { code, syscall: "renameat2", path });
}
