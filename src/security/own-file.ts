import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { fromErrno, GfsError } from "../core/errors.ts";

/** Files with secrets: this user's, and closed to all others. */

const OTHERS_MAY = 0o077;

/** Undefined when there is none. One that others own, may read or may write is refused: what is in it is no secret any more, or no truth. */
export async function readOwnFile(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, "r");
    try {
      const { uid, mode } = await file.stat();
      if (process.getuid !== undefined && uid !== process.getuid()) {
        throw new GfsError("ConfigInvalid", `${path} belongs to another user; move it away, and another is made.`);
      }
      if (process.getuid !== undefined && (mode & OTHERS_MAY) !== 0) {
        throw new GfsError(
          "ConfigInvalid",
          `Others may read ${path}, which holds a secret; run chmod 600 ${path}. If they may have read it, remove it instead: another is made.`,
        );
      }
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw fromErrno(error, "own_file.read", { path });
  }
}

/** Whole or not at all, and never readable by others, not even for a moment. */
export async function writeOwnFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(draft, "w", 0o600);
    try {
      await file.chmod(0o600);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    throw fromErrno(error, "own_file.write", { path });
  }
}
