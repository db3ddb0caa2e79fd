import { mkdir, open, stat } from "node:fs/promises";
import path from "node:path";
import { fromErrno, GfsError } from "../../core/errors.ts";

/** The directory of a catalog and the files in it, before the library opens them. */

export async function prepareDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (!(await stat(directory)).isDirectory()) throw Object.assign(new Error(directory), { code: "ENOTDIR" });
  } catch (error) {
    const failure = fromErrno(error, "kv.open", { path: directory });
    throw new GfsError(
      "ConfigInvalid",
      `The catalog cannot live at ${directory}: ${failure.message} coordinator.data_dir sets the place.`,
      {
        cause: error,
      },
    );
  }
}

export async function closeToOthers(file: string): Promise<void> {
  const handle = await open(file, "a", 0o600);
  try {
    if (((await handle.stat()).mode & 0o077) !== 0) await handle.chmod(0o600);
  } finally {
    await handle.close();
  }
}

/** In the head of each of the library's meta pages, in the machine's order of bytes. */
const MAGIC = 0xbe_ef_c0_de;
const HEAD_BYTES = 64;

/** The library ends the whole process over a file that does not begin as its own do. Whoever writes makes a catalog of an empty one. */
export async function checkBeginning(file: string, { mayBeEmpty }: { readonly mayBeEmpty: boolean }): Promise<void> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const magic = Buffer.from(new Uint32Array([MAGIC]).buffer);
    if ((bytesRead > 0 || !mayBeEmpty) && !buffer.includes(magic))
      throw new Error("it does not begin as a catalog does; move it away, then `globalfs meta rebuild` makes another.");
  } finally {
    await handle.close();
  }
}

/** A catalog that was made just now must not lose its name with the power. */
export async function syncDirectory(directory: string): Promise<void> {
  for (const each of [directory, path.dirname(directory)]) {
    try {
      const handle = await open(each, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      // A parent that is closed to us was there before, and Windows flushes no directories.
      const { code } = error as NodeJS.ErrnoException;
      if (each === directory && process.platform !== "win32") throw fromErrno(error, "kv.open", { path: each });
      if (code !== "EACCES" && code !== "EPERM" && code !== "EISDIR" && code !== "EINVAL")
        throw fromErrno(error, "kv.open", { path: each });
    }
  }
}
