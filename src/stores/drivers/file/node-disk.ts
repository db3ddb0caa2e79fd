import { constants, fstatSync } from "node:fs";
import fs, { type FileHandle } from "node:fs/promises";
import type { BigIntStats, Stats } from "node:fs";
import type { DirectoryName, Disk, DiskFile, DiskStat, OpenFlags } from "../../../core/ports/disk.ts";
import { getXattr, lgetXattr, setXattr } from "./xattr.ts";

/** The Disk port over the operating system. */

const FLAGS: Record<OpenFlags, number> = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR | constants.O_NOFOLLOW,
};
const NANOSECONDS_A_MS = 1_000_000n;

export const nodeDisk: Disk = {
  async open(path, flags) {
    return new NodeFile(await fs.open(path, FLAGS[flags], 0o644));
  },
  rename: async (from, to) => await fs.rename(from, to),
  link: async (from, to) => await fs.link(from, to),
  unlink: async (path) => await fs.unlink(path),
  makeDirectory: async (path) => await fs.mkdir(path),
  removeDirectory: async (path) => await fs.rmdir(path),
  async readDirectory(path) {
    const entries = await fs.readdir(path, { withFileTypes: true });
    return entries.map((entry): DirectoryName => ({ name: entry.name, kind: kindOf(entry) }));
  },
  async stat(path) {
    return describe(await fs.lstat(path, { bigint: true }));
  },
  async inspect(path, attribute) {
    const stat = describe(await fs.lstat(path, { bigint: true }));
    return { stat, attribute: stat.kind === "file" ? await lgetXattr(path, attribute) : undefined };
  },
  async copy(from, to) {
    await fs.copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  },
  async syncDirectory(path) {
    const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      handle.close().catch(() => undefined);
    }
  },
  async space(path) {
    const { bavail, blocks, bsize } = await fs.statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  },
};

function kindOf(
  entry: Pick<Stats, "isFile" | "isDirectory"> | Pick<BigIntStats, "isFile" | "isDirectory">,
): DiskStat["kind"] {
  return entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other";
}

function describe(stat: BigIntStats): DiskStat {
  return {
    kind: kindOf(stat),
    sizeBytes: Number(stat.size),
    modifiedMs: Number(stat.mtimeNs / NANOSECONDS_A_MS),
    modifiedNs: stat.mtimeNs.toString(),
    identity: `${stat.dev.toString(36)}-${stat.ino.toString(36)}-${stat.size.toString(36)}-${stat.mtimeNs.toString(36)}`,
  };
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.byteLength) {
      const { bytesRead } = await this.#handle.read(buffer, filled, buffer.byteLength - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (const buffer of buffers) {
      for (let written = 0; written < buffer.byteLength;) {
        const { bytesWritten } = await this.#handle.write(buffer, written, buffer.byteLength - written, at);
        if (bytesWritten === 0) throw Object.assign(new Error("The disk took no more bytes."), { code: "ENOSPC" });
        written += bytesWritten;
        at += bytesWritten;
      }
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes);
  }

  /** At once: the inode of an open file is in memory, and a trip through the thread pool costs fifty times as much. */
  async stat(): Promise<DiskStat> {
    return describe(fstatSync(this.#handle.fd, { bigint: true }));
  }

  getAttribute(name: string): Promise<Uint8Array | undefined> {
    return getXattr(this.#handle.fd, name);
  }

  setAttribute(name: string, value: Uint8Array): Promise<void> {
    return setXattr(this.#handle.fd, name, value);
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  /** Begun and not waited for: what had to be durable was synced before, and nobody uses the file afterwards. */
  async close(): Promise<void> {
    this.#handle.close().catch(() => undefined);
  }
}
