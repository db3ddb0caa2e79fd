import { type Inode, ROOT_INODE, type SessionId } from "../../core/ids.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Kv, Program } from "../../kv/index.ts";
import { posix } from "../../namespace/index.ts";
import type { FileAttributes, FileService } from "../service/service.ts";
import { rigCtx } from "./rig.ts";

/** The file service by paths, as people think of it. */
export interface Tree {
  inode(path: string): Promise<Inode>;
  stat(path: string): Promise<FileAttributes>;
  child(path: string): Promise<posix.Child>;
  names(path: string): Promise<string[]>;
  create(path: string): Promise<FileAttributes>;
  mkdir(path: string): Promise<FileAttributes>;
  symlink(target: string, path: string): Promise<FileAttributes>;
  link(from: string, to: string): Promise<FileAttributes>;
  unlink(path: string, heldBy?: readonly SessionId[]): Promise<FileAttributes>;
  rmdir(path: string): Promise<FileAttributes>;
  rename(from: string, to: string, more?: { readonly noReplace?: boolean }): Promise<FileAttributes>;
  exchange(one: string, other: string): Promise<void>;
}

export function treeOf(files: FileService): Tree {
  const maker = { uid: 1_000, gid: 1_000 };
  const childAt = async (path: string): Promise<posix.Child> =>
    (await files.walk(rigCtx, { path, last: "name" })).child as posix.Child;
  const stat = async (path: string): Promise<FileAttributes> => {
    if (path === "") return await files.getattr(rigCtx, ROOT_INODE);
    const { file } = await files.walk(rigCtx, { path, last: "itself" });
    if (file === undefined) throw new Error(`There is no ${path}.`);
    return file;
  };
  return {
    stat,
    child: childAt,
    inode: async (path) => (await stat(path)).inode,
    names: async (path) => {
      const page = await files.readdir(rigCtx, { inode: (await stat(path)).inode, limit: 1_000 });
      return page.entries.map(({ name }) => name);
    },
    create: async (path) =>
      await files.mknod(rigCtx, { ...(await childAt(path)), ...maker, kind: "file", mode: 0o644 }),
    mkdir: async (path) => await files.mkdir(rigCtx, { ...(await childAt(path)), ...maker, mode: 0o755 }),
    symlink: async (target, path) => await files.symlink(rigCtx, { ...(await childAt(path)), ...maker, target }),
    link: async (from, to) => await files.link(rigCtx, { inode: (await stat(from)).inode, ...(await childAt(to)) }),
    unlink: async (path, heldBy = []) => await files.unlink(rigCtx, { ...(await childAt(path)), heldBy }),
    rmdir: async (path) => await files.rmdir(rigCtx, await childAt(path)),
    rename: async (from, to, more = {}) =>
      await files.rename(rigCtx, { from: await childAt(from), to: await childAt(to), ...more }),
    exchange: async (one, other) =>
      void (await files.exchange(rigCtx, { one: await childAt(one), other: await childAt(other) })),
  };
}

/** How a file system calls the failure. */
export async function errnoOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (error: unknown) => (isGfsError(error) ? error.meaning.errno : String(error)),
  );
}

const SESSION_MS = 3_600_000;

/** A session that is open for as long as a test takes: what it holds nobody else releases. */
export async function openSession(kv: Kv, name: string): Promise<SessionId> {
  const session = name as SessionId;
  const { id: lease } = await kv.lease(SESSION_MS);
  await kv.transact(function* (tx): Program<void> {
    posix.openSession(tx, { session, lease });
  });
  return session;
}
