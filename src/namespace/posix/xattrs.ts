import { byteLengthOfText, isByteText } from "../../core/byte-text.ts";
import { GfsError } from "../../core/errors.ts";
import type { Inode } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { extendedKey, MAX_EXTENDED, namesOfExtended } from "../extended-rows.ts";
import { writeAttributes } from "../inodes.ts";
import type { FileAttributes } from "../types.ts";
import { makeExplicit } from "./child.ts";
import { getattr } from "./lookup.ts";

/** Extended attributes, as xattr(7) has them. */

export const USER = "user.";
export const TRUSTED = "trusted.";
export const SECURITY = "security.";
const CLASSES = [USER, TRUSTED, SECURITY];
const MAX_NAME_BYTES = 255;
const MAX_VALUE_BYTES = 65_536;
/** Of all names and values of an inode. */
const MAX_TOTAL_BYTES = 256 * 1024;

export function* getxattr(tx: Reader, inode: Inode, name: string): Program<Uint8Array> {
  checkExtendedName(name);
  const value = yield* tx.get(extendedKey(inode, name));
  if (value !== undefined) return value;
  yield* getattr(tx, inode);
  throw noAttribute(inode, name);
}

export function* listxattr(tx: Reader, inode: Inode): Program<readonly string[]> {
  const { extended } = yield* getattr(tx, inode);
  return extended === undefined ? [] : yield* namesOfExtended(tx, inode, MAX_EXTENDED);
}

export interface SetXattr {
  readonly inode: Inode;
  readonly name: string;
  readonly value: Uint8Array;
  /** `create`: it must not be there; `replace`: it must. */
  readonly only?: "create" | "replace";
  readonly now: Moment;
}

export function* setxattr(tx: Transaction, request: SetXattr): Program<void> {
  const { inode, name, value, only, now } = request;
  tx.claimRoom();
  checkExtendedName(name);
  assertKnownClass(name);
  if (value.byteLength > MAX_VALUE_BYTES)
    throw new GfsError("TooLarge", `An extended attribute has at most ${MAX_VALUE_BYTES} bytes.`, {
      op: "namespace.setxattr",
    });
  const file = yield* getattr(tx, inode);
  const before = yield* tx.get(extendedKey(inode, name));
  if (only === "create" && before !== undefined)
    throw new GfsError("AlreadyExists", `The file has an attribute ${JSON.stringify(name)} already.`, {
      op: "namespace.setxattr",
    });
  if (only === "replace" && before === undefined) throw noAttribute(inode, name);
  const { count, sizeBytes } = file.extended ?? NONE;
  const own = sizeOf(name, value);
  const extended =
    before === undefined
      ? { count: count + 1, sizeBytes: sizeBytes + own }
      : { count, sizeBytes: sizeBytes - sizeOf(name, before) + own };
  if (extended.count > MAX_EXTENDED || extended.sizeBytes > MAX_TOTAL_BYTES) {
    throw new GfsError(
      "QuotaExceeded",
      `A file has at most ${MAX_EXTENDED} extended attributes, with ${MAX_TOTAL_BYTES} bytes in all; remove some first.`,
      { op: "namespace.setxattr", context: { inode, name } },
    );
  }
  tx.put(extendedKey(inode, name), value);
  yield* writeChanged(tx, { ...file, extended }, now);
}

export interface RemoveXattr {
  readonly inode: Inode;
  readonly name: string;
  readonly now: Moment;
}

export function* removexattr(tx: Transaction, { inode, name, now }: RemoveXattr): Program<void> {
  checkExtendedName(name);
  const { extended = NONE, ...file } = yield* getattr(tx, inode);
  const before = yield* tx.get(extendedKey(inode, name));
  if (before === undefined) throw noAttribute(inode, name);
  tx.delete(extendedKey(inode, name));
  const left = { count: extended.count - 1, sizeBytes: extended.sizeBytes - sizeOf(name, before) };
  yield* writeChanged(tx, left.count === 0 ? file : { ...file, extended: left }, now);
}

function* writeChanged(tx: Transaction, file: FileAttributes, now: Moment): Program<void> {
  yield* makeExplicit(tx, file, now);
  const { implicit: _, ...explicit } = file;
  writeAttributes(tx, { ...explicit, changed: now });
}

const NONE = { count: 0, sizeBytes: 0 };

function sizeOf(name: string, value: Uint8Array): number {
  return byteLengthOfText(name) + value.byteLength;
}

function checkExtendedName(name: string): void {
  if (name === "" || name.includes("\0") || !isByteText(name))
    throw new GfsError("InvalidArgument", "The name of an extended attribute is not empty and has no NUL.");
  if (byteLengthOfText(name) > MAX_NAME_BYTES)
    throw new GfsError("KeyTooLong", `The name of an extended attribute has at most ${MAX_NAME_BYTES} bytes.`);
}

/** As xattr(7) has the classes. Of `system.` are the access lists of POSIX, which nothing would hold. */
export function assertKnownClass(name: string): void {
  if (CLASSES.some((each) => name.startsWith(each))) return;
  throw new GfsError(
    "Unsupported",
    `Extended attributes are named user., trusted. or security. something, not ${name}.`,
    {
      op: "namespace.xattr",
    },
  );
}

export function noAttribute(inode: Inode, name: string): GfsError {
  return new GfsError("NoAttribute", `The file has no extended attribute ${JSON.stringify(name)}.`, {
    op: "namespace.xattr",
    context: { inode, name },
  });
}
