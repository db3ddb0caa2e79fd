import { byteLengthOfText, isByteText } from "../../core/byte-text.ts";
import { GfsError } from "../../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { recordChange } from "../changes.ts";
import { readAttributes, writeAttributes } from "../inodes.ts";
import { type Place, readEntry } from "../names.ts";
import type { Entry } from "../rows.ts";
import { pathOf } from "../tree.ts";
import type { FileAttributes, FileKind } from "../types.ts";

/** A name in a directory, as a file system sees it: without a slash, and a directory hides a file of its name. */
export interface Child {
  readonly parent: Inode;
  readonly name: string;
}

const MAX_NAME_BYTES = 255;
/** What a site keeps for GlobalFS lies below such a key, so nothing at the top may have the name. */
const RESERVED = ".globalfs";

function checkName(name: string): void {
  if (name.length * 3 > MAX_NAME_BYTES && byteLengthOfText(name) > MAX_NAME_BYTES)
    throw new GfsError("KeyTooLong", `A name has at most ${MAX_NAME_BYTES} bytes.`);
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0") || !isByteText(name)) {
    throw new GfsError(
      "InvalidArgument",
      `${JSON.stringify(name)} names nothing in a directory; a name has neither slashes nor NUL, and is not ".", ".." or empty.`,
    );
  }
}

/** For what is about to be made. */
export function checkNewName({ parent, name }: Child): void {
  if (parent === ROOT_INODE && name === RESERVED)
    throw new GfsError("InvalidArgument", `GlobalFS keeps ${RESERVED} at the top for itself; choose another name.`);
}

/** A file that a directory hides is reached only by its key. */
export function* findChild(tx: Reader, { parent, name }: Child): Program<Entry | undefined> {
  checkName(name);
  const entry = yield* readEntry(tx, parent, name);
  if (entry !== undefined && entry.hidden !== true) return entry;
  return yield* readEntry(tx, parent, `${name}/`);
}

export function* getChild(tx: Reader, child: Child): Program<Entry> {
  const entry = yield* findChild(tx, child);
  if (entry !== undefined) return entry;
  yield* getDirectory(tx, child.parent);
  throw new GfsError("NotFound", `There is no ${JSON.stringify(child.name)} in this directory.`, {
    op: "namespace.posix",
    context: { parent: child.parent, name: child.name },
  });
}

/** Whatever has its name already. */
export function* assertFree(tx: Reader, child: Child): Program<void> {
  checkNewName(child);
  if ((yield* findChild(tx, child)) !== undefined)
    throw new GfsError("AlreadyExists", `There is a ${JSON.stringify(child.name)} in this directory already.`, {
      op: "namespace.posix",
      context: { parent: child.parent, name: child.name },
    });
}

/** The row of one that is still in the tree, without the times that its entries give it: in a directory that was removed while somebody works in it there is nothing, and nothing can be made. */
export function* getDirectory(tx: Reader, inode: Inode): Program<FileAttributes> {
  const found = yield* readAttributes(tx, inode);
  if (found === undefined || found.linkCount === 0)
    throw new GfsError("NotFound", "The directory is not there any more.", {
      op: "namespace.posix",
      context: { inode },
    });
  if (found.kind !== "directory")
    throw new GfsError("NotADirectory", "What should be a directory is none.", {
      op: "namespace.posix",
      context: { inode },
    });
  return found;
}

export function placeOf({ parent, name }: Child, kind: FileKind): Place {
  return { parent, name: kind === "directory" ? `${name}/` : name };
}

export function* pathOfChild(tx: Reader, { parent, name }: Child): Program<FilePath> {
  const above = yield* pathOf(tx, parent);
  return (above === undefined || above === "" ? name : `${above}/${name}`) as FilePath;
}

/** A directory that was there only because objects are below it is somebody's once a file system has touched it, and stays when it becomes empty. */
export function* makeExplicit(tx: Transaction, directory: FileAttributes, now: Moment): Program<void> {
  if (directory.implicit !== true) return;
  const { implicit: _, ...explicit } = directory;
  writeAttributes(tx, explicit);
  const path = (yield* pathOf(tx, directory.inode)) as FilePath;
  recordChange(tx, { kind: "created", path, inode: directory.inode, atMs: now.ms });
}
