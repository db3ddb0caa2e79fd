import type { Program, Reader } from "../../kv/index.ts";
import { getattr } from "./lookup.ts";
import type { FileAttributes } from "../types.ts";
import { type Child, findChild, getDirectory } from "./child.ts";
import { assertAccess, assertRemovable, type Credentials, EXECUTE, WRITE } from "./permissions.ts";

/** Whether somebody may make a name in a directory, or take one away. What is wrong with the name itself is told first, as Linux does. */

/** Of a name that is to be made. */
export function* assertMayMake(tx: Reader, who: Credentials, child: Child): Program<FileAttributes> {
  const directory = yield* getDirectory(tx, child.parent);
  assertAccess(who, directory, EXECUTE);
  if ((yield* findChild(tx, child)) === undefined) assertAccess(who, directory, WRITE);
  return directory;
}

/** Of a name that is to go. */
export function* assertMayRemove(tx: Reader, who: Credentials, child: Child): Program<void> {
  const directory = yield* getDirectory(tx, child.parent);
  assertAccess(who, directory, EXECUTE);
  const entry = yield* findChild(tx, child);
  if (entry === undefined) return;
  assertAccess(who, directory, WRITE);
  assertRemovable(who, directory, yield* getattr(tx, entry.inode));
}

/** A directory that comes to hang elsewhere is written to: it says where it hangs. */
export function* assertMayMove(
  tx: Reader,
  who: Credentials,
  { from, to }: { readonly from: Child; readonly to: Child },
): Program<void> {
  const moved = yield* findChild(tx, from);
  if (moved?.kind !== "directory" || from.parent === to.parent) return;
  assertAccess(who, yield* getattr(tx, moved.inode), WRITE);
}
