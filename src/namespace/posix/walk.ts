import { byteLengthOfText } from "../../core/byte-text.ts";
import { GfsError } from "../../core/errors.ts";
import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import type { FileAttributes } from "../types.ts";
import type { Child } from "./child.ts";
import { getattr, lookup } from "./lookup.ts";
import { assertAccess, type Credentials, EXECUTE } from "./permissions.ts";

/** From a path to what it names, as path_resolution(7) has it, for callers in front of whom no kernel stands. */

export interface Walk {
  /** Where a path without a slash in front begins; absent: at the root. */
  readonly from?: Inode;
  readonly path: string;
  /**
   * `follow`: what the path leads to, also through a link that the last name is. `itself`: what has the last name. `name`: only where that hangs, for those
   * who make or take away names.
   */
  readonly last: "follow" | "itself" | "name";
  /** Whose right to search each directory on the way is looked at; absent: nobody's. */
  readonly who?: Credentials;
}

/** Where a path leads. */
export interface Walked {
  /** Absent where the path ends in a dot or two, or is the root: then it names no entry. */
  readonly child?: Child;
  /** Absent where nothing has the last name. */
  readonly file?: FileAttributes;
  /** It ends in a slash: what is there is a directory, and what is made there has to be one. */
  readonly slash: boolean;
}

/** As Linux has it. */
const MAX_FOLLOWED = 40;
const MAX_PATH_BYTES = 4_095;
/** What stands behind a slash at the end of a path. */
const NOTHING = "";

export function* walk(tx: Reader, { from, path, last, who }: Walk): Program<Walked> {
  if (path === "") throw absent(path);
  if (byteLengthOfText(path) > MAX_PATH_BYTES)
    throw new GfsError("KeyTooLong", `A path has at most ${MAX_PATH_BYTES} bytes.`, { op: "namespace.walk" });
  let file = yield* getattr(tx, path.startsWith("/") ? ROOT_INODE : (from ?? ROOT_INODE));
  let child: Child | undefined;
  const left = componentsOf(path);
  let followed = 0;
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (file.kind !== "directory") throw noDirectory();
    if (name === NOTHING) return { ...(child === undefined ? {} : { child }), file, slash: true };
    if (who !== undefined) assertAccess(who, file, EXECUTE);
    if (name === "." || name === "..") {
      child = undefined;
      if (name === "..") file = yield* parentOf(tx, file, path);
      continue;
    }
    child = { parent: file.inode, name };
    const isLast = left.length === 0;
    const slash = left.length === 1 && left[0] === NOTHING;
    if (last === "name" && (isLast || slash)) return { child, slash };
    const found = yield* lookup(tx, child);
    if (found === undefined) {
      if (isLast || slash) return { child, slash };
      throw absent(path);
    }
    if (found.kind === "symlink" && (!isLast || last === "follow")) {
      if (++followed > MAX_FOLLOWED)
        throw new GfsError("LoopDetected", `${path} leads through more than ${MAX_FOLLOWED} symbolic links.`);
      const target = found.target as string;
      // What leads out of the tree leads nowhere.
      if (target.startsWith("/")) throw absent(path);
      left.push(...componentsOf(target).filter((each) => isLast || each !== NOTHING));
      continue;
    }
    file = found;
  }
  return { ...(child === undefined ? {} : { child }), file, slash: false };
}

/** The last in front. */
function componentsOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  if (path.endsWith("/")) names.push(NOTHING);
  return names.toReversed();
}

function* parentOf(tx: Reader, directory: FileAttributes, path: string): Program<FileAttributes> {
  if (directory.parent === undefined) throw absent(path);
  return yield* getattr(tx, directory.parent.inode);
}

function noDirectory(): GfsError {
  return new GfsError("NotADirectory", "A part of the path is no directory.", { op: "namespace.walk" });
}

function absent(path: string): GfsError {
  return new GfsError("NotFound", `There is no ${path}.`, { op: "namespace.walk" });
}
