import { Errno } from "../../protocol/errors.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../../protocol/flags.ts";
import { nameBytes } from "../../protocol/names.ts";
import type { MemoryNode } from "./node.ts";

/** What listxattr(2) can return, and so what the names of one file's attributes may take together. */
const NAMES_LIMIT_BYTES = 65_536;
/** How much the values of one file may take together. */
const VALUES_LIMIT_BYTES = 1_048_576;
const SUPPORTED = /^(user|trusted|security)\../;

export function setXattr(
  node: MemoryNode,
  { name, value, flags }: { readonly name: string; readonly value: Buffer; readonly flags: number },
): Errno | undefined {
  if (!SUPPORTED.test(name)) return Errno.EOPNOTSUPP;
  const existing = node.xattrs?.get(name);
  if (existing !== undefined && (flags & XATTR_CREATE) !== 0) return Errno.EEXIST;
  if (existing === undefined && (flags & XATTR_REPLACE) !== 0) return Errno.ENODATA;
  let names = existing === undefined ? nameBytes(name) + 1 : 0;
  let values = value.length - (existing?.length ?? 0);
  for (const [key, held] of node.xattrs ?? []) {
    names += nameBytes(key) + 1;
    values += held.length;
  }
  if (names > NAMES_LIMIT_BYTES || values > VALUES_LIMIT_BYTES) return Errno.ENOSPC;
  node.xattrs ??= new Map();
  node.xattrs.set(name, Buffer.from(value));
  return undefined;
}

export function getXattr(node: MemoryNode, name: string): Buffer | Errno {
  if (!SUPPORTED.test(name)) return Errno.EOPNOTSUPP;
  return node.xattrs?.get(name) ?? Errno.ENODATA;
}

export function removeXattr(node: MemoryNode, name: string): Errno | undefined {
  if (!SUPPORTED.test(name)) return Errno.EOPNOTSUPP;
  return node.xattrs?.delete(name) === true ? undefined : Errno.ENODATA;
}
