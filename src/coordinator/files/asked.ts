import type { Inode } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { posix } from "../../namespace/index.ts";
import type { Asking } from "../service/service.ts";

/** Each program once: for a caller who is looked at, or for one to whom everything is granted. */
function by<Tx, Request extends object, T>(
  plain: (tx: Tx, request: Request) => Program<T>,
  checked: (tx: Tx, who: posix.Credentials, request: Request) => Program<T>,
): (tx: Tx, request: Request & Asking) => Program<T> {
  return (tx, request) => (request.who === undefined ? plain(tx, request) : checked(tx, request.who, request));
}

interface OfInode {
  readonly inode: Inode;
}
interface OfAttribute extends OfInode {
  readonly name: string;
}

const { checked } = posix;

export const asked = {
  lookup: by(posix.lookup, checked.lookup),
  readdir: by(posix.readdir, checked.readdir),
  readdirplus: by(posix.readdirplus, checked.readdirplus),
  getxattr: by(
    (tx: Reader, { inode, name }: OfAttribute) => posix.getxattr(tx, inode, name),
    (tx: Reader, who, { inode, name }: OfAttribute) => checked.getxattr(tx, who, inode, name),
  ),
  listxattr: by(
    (tx: Reader, { inode }: OfInode) => posix.listxattr(tx, inode),
    (tx: Reader, who, { inode }: OfInode) => checked.listxattr(tx, who, inode),
  ),
  setattr: by(posix.setattr, checked.setattr),
  setxattr: by(posix.setxattr, checked.setxattr),
  removexattr: by(posix.removexattr, checked.removexattr),
  mknod: by(posix.mknod, checked.mknod),
  mkdir: by(posix.mkdir, checked.mkdir),
  symlink: by(posix.symlink, checked.symlink),
  link: by(posix.link, checked.link),
  unlink: by(posix.unlink, checked.unlink),
  rmdir: by(posix.rmdir, checked.rmdir),
  rename: by(posix.rename, checked.rename),
  exchange: by(posix.exchange, checked.exchange),
};
