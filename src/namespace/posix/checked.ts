import type { Inode } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { isDevice } from "../attributes-codec.ts";
import type { FileAttributes } from "../types.ts";
import { assertFree, type Child, getDirectory } from "./child.ts";
import { assertMayMake, assertMayRemove } from "./entering.ts";
import * as links from "./link.ts";
import * as looks from "./lookup.ts";
import * as makes from "./make.ts";
import {
  assertAccess,
  assertLinkable,
  assertOwner,
  assertOwnersChange,
  type Credentials,
  EXECUTE,
  grantedMode,
  isOwner,
  isRoot,
  newMode,
  notPermitted,
  READ,
  STICKY,
  WRITE,
} from "./permissions.ts";
import * as exchanges from "./exchange.ts";
import * as reads from "./readdir.ts";
import * as removes from "./remove.ts";
import * as renames from "./rename.ts";
import * as changes from "./setattr.ts";
import * as extended from "./xattrs.ts";
import { SECURITY, TRUSTED, USER } from "./xattrs.ts";

/** The same programs for callers in front of whom no kernel stands: what they may do is looked at in the transaction that does it. */

export function* lookup(tx: Reader, who: Credentials, child: Child): Program<FileAttributes | undefined> {
  assertAccess(who, yield* getDirectory(tx, child.parent), EXECUTE);
  return yield* looks.lookup(tx, child);
}

/** access(2), and what open(2) asks. */
export function* access(tx: Reader, who: Credentials, inode: Inode, wanted: number): Program<FileAttributes> {
  const file = yield* looks.getattr(tx, inode);
  assertAccess(who, file, wanted);
  return file;
}

export function* readdir(tx: Reader, who: Credentials, query: reads.ReadDirectory): Program<reads.DirectoryPage> {
  // What is no directory is told before who may read it.
  const page = yield* reads.readdir(tx, query);
  yield* access(tx, who, query.inode, READ);
  return page;
}

/** What stat(2) tells of the entries is for those who may search the directory, too. */
export function* readdirplus(
  tx: Reader,
  who: Credentials,
  query: reads.ReadDirectory,
): Program<reads.DirectoryPage<reads.DirectoryEntryPlus>> {
  const page = yield* reads.readdirplus(tx, query);
  yield* access(tx, who, query.inode, READ | EXECUTE);
  return page;
}

type Unowned<Request> = Omit<Request, "uid" | "gid">;

export function* mknod(tx: Transaction, who: Credentials, request: Unowned<makes.MakeNode>): Program<FileAttributes> {
  const directory = yield* assertMayMake(tx, who, request);
  yield* assertFree(tx, request);
  if (isDevice(request.kind) && !isRoot(who)) throw notPermitted("Only root may make a device.");
  return yield* makes.mknod(tx, { ...request, ...ownerOf(who), mode: newMode(who, directory, request) });
}

export function* mkdir(
  tx: Transaction,
  who: Credentials,
  request: Unowned<makes.Make> & { readonly mode: number },
): Program<FileAttributes> {
  yield* assertMayMake(tx, who, request);
  return yield* makes.mkdir(tx, { ...request, ...ownerOf(who) });
}

export function* symlink(
  tx: Transaction,
  who: Credentials,
  request: Unowned<makes.Make> & { readonly target: string },
): Program<FileAttributes> {
  yield* assertMayMake(tx, who, request);
  return yield* makes.symlink(tx, { ...request, ...ownerOf(who) });
}

export function* link(tx: Transaction, who: Credentials, request: links.Link): Program<FileAttributes> {
  const file = yield* looks.getattr(tx, request.inode);
  assertAccess(who, yield* getDirectory(tx, request.parent), EXECUTE);
  yield* assertFree(tx, request);
  assertLinkable(who, file);
  yield* assertMayMake(tx, who, request);
  return yield* links.link(tx, request);
}

function ownerOf({ uid, gid }: Credentials): Pick<Credentials, "uid" | "gid"> {
  return { uid, gid };
}

export function* setattr(tx: Transaction, who: Credentials, request: changes.SetAttr): Program<FileAttributes> {
  const { uid, gid, mode, accessed, modified } = request;
  const file = yield* looks.getattr(tx, request.inode);
  assertOwnersChange(who, file, { uid, gid });
  if (mode !== undefined) assertOwner(who, file);
  const times = [accessed, modified].filter((time) => time !== undefined);
  // utimensat(2): the moment may be set by who may write, any other time only by the owner.
  if (times.length > 0 && !isOwner(who, file)) {
    if (times.length < 2 || times.some((time) => time !== "now")) assertOwner(who, file);
    assertAccess(who, file, WRITE);
  }
  const granted = mode === undefined ? {} : { mode: grantedMode(who, { gid: gid ?? file.gid }, mode) };
  return yield* changes.setattr(tx, { ...request, ...granted });
}

export function* getxattr(tx: Reader, who: Credentials, inode: Inode, name: string): Program<Uint8Array> {
  const file = yield* looks.getattr(tx, inode);
  if (name.startsWith(TRUSTED) && !isRoot(who)) throw extended.noAttribute(inode, name);
  if (name.startsWith(USER)) assertUserAttribute(who, file, READ);
  return yield* extended.getxattr(tx, inode, name);
}

export function* listxattr(tx: Reader, who: Credentials, inode: Inode): Program<readonly string[]> {
  const names = yield* extended.listxattr(tx, inode);
  return isRoot(who) ? names : names.filter((name) => !name.startsWith(TRUSTED));
}

export function* setxattr(tx: Transaction, who: Credentials, request: extended.SetXattr): Program<void> {
  assertExtendedChange(who, yield* looks.getattr(tx, request.inode), request.name);
  yield* extended.setxattr(tx, request);
}

export function* removexattr(tx: Transaction, who: Credentials, request: extended.RemoveXattr): Program<void> {
  assertExtendedChange(who, yield* looks.getattr(tx, request.inode), request.name);
  yield* extended.removexattr(tx, request);
}

/** As xattr(7) has the classes. */
function assertExtendedChange(who: Credentials, file: FileAttributes, name: string): void {
  if (name.startsWith(TRUSTED) || name.startsWith(SECURITY)) {
    if (!isRoot(who)) throw notPermitted(`Only root may change the extended attribute ${name}.`);
  } else if (name.startsWith(USER)) assertUserAttribute(who, file, WRITE);
  else extended.assertKnownClass(name);
}

function assertUserAttribute(who: Credentials, file: FileAttributes, wanted: number): void {
  if (file.kind !== "file" && file.kind !== "directory") {
    if (wanted === WRITE) throw notPermitted("Only files and directories have extended attributes of users.");
    return;
  }
  if (wanted === WRITE && file.kind === "directory" && file.mode & STICKY) assertOwner(who, file);
  assertAccess(who, file, wanted);
}

export function* unlink(tx: Transaction, who: Credentials, request: removes.Unlink): Program<removes.Unlinked> {
  yield* assertMayRemove(tx, who, request);
  return yield* removes.unlink(tx, request);
}

export function* rmdir(tx: Transaction, who: Credentials, request: removes.Remove): Program<FileAttributes> {
  yield* assertMayRemove(tx, who, request);
  return yield* removes.rmdir(tx, request);
}

export function rename(tx: Transaction, who: Credentials, request: renames.Rename): Program<renames.Renamed> {
  return renames.rename(tx, request, who);
}

export function exchange(tx: Transaction, who: Credentials, request: exchanges.Exchange): Program<exchanges.Exchanged> {
  return exchanges.exchange(tx, request, who);
}
