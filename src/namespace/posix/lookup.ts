import { GfsError } from "../../core/errors.ts";
import type { Inode } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { getAttributes, readAttributes, withTouch } from "../inodes.ts";
import { touchedKey } from "../rows.ts";
import type { FileAttributes } from "../types.ts";
import { type Child, findChild, getDirectory } from "./child.ts";

/** Undefined when nothing has that name: programs ask for thousands of those, and an error costs more than all else of a look. */
export function* lookup(tx: Reader, child: Child): Program<FileAttributes | undefined> {
  const entry = yield* findChild(tx, child);
  if (entry !== undefined) return yield* getAttributes(tx, entry);
  yield* getDirectory(tx, child.parent);
  return undefined;
}

export function* getattr(tx: Reader, inode: Inode): Program<FileAttributes> {
  const found = yield* readAttributes(tx, inode);
  if (found === undefined) throw gone(inode);
  return found.kind === "directory" ? withTouch(found, yield* tx.get(touchedKey(inode))) : found;
}

export function* readlink(tx: Reader, inode: Inode): Program<string> {
  const { kind, target } = yield* getattr(tx, inode);
  if (kind === "symlink" && target !== undefined) return target;
  throw new GfsError("InvalidArgument", "What should be a symbolic link is none.", {
    op: "namespace.posix",
    context: { inode },
  });
}

export function gone(inode: Inode): GfsError {
  return new GfsError("NotFound", "The file is not there any more.", { op: "namespace.posix", context: { inode } });
}
