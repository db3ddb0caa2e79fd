import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsync,
  ftruncate,
  open,
  read,
  type Stats,
  write,
} from "node:fs";
import fs from "node:fs/promises";
import type { CopyRange, DirectoryName, Disk, DiskFile, DiskStat, OpenFlags } from "../../../core/ports/disk.ts";
import { copyFileRange } from "./copy-file-range.ts";
import { getXattr, lgetXattr, setXattr } from "./xattr.ts";

/**
 * The Disk port over the operating system. Open files are plain descriptors: the handles of `fs/promises` cost half as much again for
 * each call (measured on files of 4 KiB).
 */

const FLAGS: Record<OpenFlags, number> = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR | constants.O_NOFOLLOW,
};
const COPY_BUFFER_BYTES = 1024 * 1024;
const NANOSECONDS_A_MS = 1_000_000n;

export const nodeDisk: Disk = {
  async open(path, flags) {
    return new NodeFile(await descriptor(path, FLAGS[flags]));
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
    const directory = new NodeFile(await descriptor(path, constants.O_RDONLY | constants.O_DIRECTORY));
    try {
      await directory.sync();
    } finally {
      await directory.close();
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

function descriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o644, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}

class NodeFile implements DiskFile {
  readonly #fd: number;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.byteLength) {
      const count = await this.#readSome(buffer, filled, position + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  #readSome(buffer: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, buffer, offset, buffer.byteLength - offset, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (const buffer of buffers) {
      for (let written = 0; written < buffer.byteLength;) {
        const count = await this.#writeSome(buffer, written, at);
        if (count === 0) throw Object.assign(new Error("The disk took no more bytes."), { code: "ENOSPC" });
        written += count;
        at += count;
      }
    }
  }

  #writeSome(buffer: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, buffer, offset, buffer.byteLength - offset, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }

  async copyFrom(source: DiskFile, { start, sizeBytes, position }: CopyRange): Promise<void> {
    let copied =
      source instanceof NodeFile ? await copyFileRange(source.#fd, this.#fd, { start, sizeBytes, position }) : 0;
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BUFFER_BYTES, sizeBytes - copied));
    while (copied < sizeBytes) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, sizeBytes - copied));
      const count = await source.read(wanted, start + copied);
      if (count === 0) throw Object.assign(new Error("The file to copy from is too short."), { code: "EIO" });
      await this.write([wanted.subarray(0, count)], position + copied);
      copied += count;
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      ftruncate(this.#fd, sizeBytes, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** At once: the inode of an open file is in memory, and a trip through the thread pool costs fifty times as much. */
  async stat(): Promise<DiskStat> {
    return describe(fstatSync(this.#fd, { bigint: true }));
  }

  getAttribute(name: string): Promise<Uint8Array | undefined> {
    return getXattr(this.#fd, name);
  }

  setAttribute(name: string, value: Uint8Array): Promise<void> {
    return setXattr(this.#fd, name, value);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** At once, too: what had to be durable was synced before, so that nothing is left to write. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
