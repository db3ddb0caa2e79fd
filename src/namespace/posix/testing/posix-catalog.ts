import { isGfsError } from "../../../core/errors.ts";
import { type Inode, ROOT_INODE, type SessionId, type VersionId } from "../../../core/ids.ts";
import type { Moment } from "../../../core/moment.ts";
import { encodeAttributes } from "../../attributes-codec.ts";
import { removeDirectory } from "../../directories.ts";
import { readInode } from "../../inodes.ts";
import { attributesKey } from "../../rows.ts";
import { at, TestCatalog } from "../../testing/catalog.ts";
import { nextTestId, testVersion } from "../../testing/model.ts";
import type { Committed, FileAttributes, FileRecord, ObjectPlace } from "../../types.ts";
import * as posix from "../index.ts";

/** How a file system calls the failure. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (error: unknown) => (isGfsError(error) ? error.meaning.errno : String(error)),
  );
}

export const NOW: Moment = { ms: 9_000, ns: 123_456 };

/** A catalog in memory, worked on as a file system does. */
export class PosixCatalog extends TestCatalog {
  now: Moment = NOW;

  static override async open(): Promise<PosixCatalog> {
    const catalog = new PosixCatalog();
    await catalog.initialize();
    return catalog;
  }

  /** The inode at a path, as a mount would walk there. */
  async inodeAt(path: string): Promise<Inode> {
    let inode: Inode = ROOT_INODE;
    for (const name of path.split("/").filter((each) => each !== "")) {
      const parent = inode;
      const found = await this.view((tx) => posix.lookup(tx, { parent, name }));
      if (found === undefined) throw new Error(`There is no ${name} on the way to ${path}.`);
      inode = found.inode;
    }
    return inode;
  }

  async stat(path: string): Promise<FileAttributes> {
    const inode = await this.inodeAt(path);
    return await this.view((tx) => posix.getattr(tx, inode));
  }

  async childAt(path: string): Promise<posix.Child> {
    const slash = path.lastIndexOf("/");
    return { parent: await this.inodeAt(path.slice(0, slash + 1)), name: path.slice(slash + 1) };
  }

  async mknod(path: string, more: Partial<posix.MakeNode> = {}): Promise<FileAttributes> {
    const child = await this.childAt(path);
    const request = { ...child, ...this.maker(), kind: "file" as const, mode: 0o644, ...more };
    return await this.run((tx) => posix.mknod(tx, request));
  }

  async mkdir(path: string, more: Partial<posix.Make & { mode: number }> = {}): Promise<FileAttributes> {
    const request = { ...(await this.childAt(path)), ...this.maker(), mode: 0o755, ...more };
    return await this.run((tx) => posix.mkdir(tx, request));
  }

  async symlink(path: string, target: string): Promise<FileAttributes> {
    const request = { ...(await this.childAt(path)), ...this.maker(), target };
    return await this.run((tx) => posix.symlink(tx, request));
  }

  async link(from: string, to: string): Promise<FileAttributes> {
    const request = { inode: await this.inodeAt(from), ...(await this.childAt(to)), now: this.now };
    return await this.run((tx) => posix.link(tx, request));
  }

  async unlink(path: string, more: Partial<posix.Unlink> = {}): Promise<posix.Unlinked> {
    const child = await this.childAt(path);
    const request = { ...child, now: this.now, tombstoneVersionId: nextTestId(), ...more };
    return await this.run((tx) => posix.unlink(tx, request));
  }

  async rmdir(path: string, more: Partial<posix.Remove> = {}): Promise<FileAttributes> {
    const request = { ...(await this.childAt(path)), now: this.now, ...more };
    return await this.run((tx) => posix.rmdir(tx, request));
  }

  async rename(from: string, to: string, more: Partial<posix.Rename> = {}): Promise<posix.Renamed> {
    const ways = { from: await this.childAt(from), to: await this.childAt(to) };
    const request = { ...ways, now: this.now, tombstoneVersionId: nextTestId(), ...more };
    return await this.run((tx) => posix.rename(tx, request));
  }

  async exchange(one: string, other: string): Promise<posix.Exchanged> {
    const names = { one: await this.childAt(one), other: await this.childAt(other) };
    const request = { ...names, now: this.now, tombstoneVersionId: nextTestId() };
    return await this.run((tx) => posix.exchange(tx, request));
  }

  async release(session: SessionId, inode: Inode): Promise<readonly ObjectPlace[]> {
    const request = { session, inode, now: this.now, tombstoneVersionId: nextTestId() };
    return (await this.run((tx) => posix.releaseOrphan(tx, request))).orphans;
  }

  /** A version whose object is under a key of its own. */
  async commit(
    inode: Inode,
    { id, ...more }: { readonly id: VersionId } & Pick<posix.Commit, "expect"> & Partial<posix.Commit>,
  ): Promise<Committed> {
    const version = testVersion("a", { id, key: `objects/${id}` });
    const request = { inode, version, now: this.now, nextInode: this.nextInode, ...more };
    return await this.run((tx) => posix.commit(tx, request));
  }

  async readInode(inode: Inode): Promise<FileRecord | undefined> {
    return await this.view((tx) => readInode(tx, inode));
  }

  async setattr(path: string, changes: Partial<posix.SetAttr>): Promise<FileAttributes> {
    const request = { inode: await this.inodeAt(path), now: this.now, ...changes };
    return await this.run((tx) => posix.setattr(tx, request));
  }

  async names(path: string): Promise<string[]> {
    const inode = await this.inodeAt(path);
    const { entries } = await this.view((tx) => posix.readdir(tx, { inode, limit: 1_000 }));
    return entries.map(({ name }) => name);
  }

  /** By whatever way there is. */
  async removeAny(path: string): Promise<void> {
    if ((await this.stat(path)).kind !== "directory") await this.remove(path);
    else await this.run((tx) => removeDirectory(tx, { path: at(path), semantics: "directory", nowMs: this.now.ms }));
  }

  async rewrite(inode: Inode, change: (file: FileAttributes) => FileAttributes): Promise<void> {
    const file = await this.view((tx) => posix.getattr(tx, inode));
    await this.write([[attributesKey(inode), encodeAttributes(change(file))]]);
  }

  maker(): Omit<posix.Make, keyof posix.Child> {
    return { uid: 7, gid: 8, now: this.now, nextInode: this.nextInode };
  }

  async noFaults(): Promise<void> {
    const { faults } = await this.check();
    if (faults.length > 0) throw new Error(faults.join("\n"));
  }
}
