import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  fsync,
  ftruncate,
  link,
  lstat,
  read,
  rename,
  type Stats,
  unlink,
  write,
} from "node:fs";
import fs from "node:fs/promises";
import { dirname } from "node:path";
import type {
  CopyRange,
  DirectoryName,
  Disk,
  DiskFile,
  DiskStat,
  HeldDirectory,
  OpenFlags,
} from "../../../../core/ports/disk.ts";
import { copyFileRange } from "./copy-file-range.ts";
import { descriptor } from "./descriptor.ts";
import { type Cached, nameOf, openCached, type Opened, reach, type Reach } from "./open-without-links.ts";
import { renameNew } from "./rename-new.ts";
import { hasWholeDiskCalls, lockFile, syncFileSystem } from "./whole-disk.ts";
import { getXattr, getXattrOfEntry, lgetXattr, setXattr } from "./xattr.ts";

/** The Disk port over the operating system. No component of a path may be a symbolic link, save for `realPath`: one is ELOOP or ENOTDIR. */

/** A pipe that nobody writes to would keep its opener, and a thread, waiting. */
const { O_NOFOLLOW, O_NONBLOCK } = constants;
const FLAGS: Record<OpenFlags, number> = {
  read: constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW,
  update: constants.O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  log: constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC | O_NOFOLLOW | O_NONBLOCK,
};
const LOCK_FILE = constants.O_RDWR | constants.O_CREAT | O_NOFOLLOW | O_NONBLOCK;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | O_NOFOLLOW;
const COPY_BUFFER_BYTES = 1024 * 1024;
const NANOSECONDS_A_MS = 1_000_000n;

export interface NodeDiskOptions {
  /** Files whose names the kernel has at hand are opened on the event loop. Only where `open` never waits for another machine. */
  readonly opensAtOnce: boolean;
  /** Default: the best way there is on this system. */
  readonly reach?: Reach;
  /** See `Disk`. Default: no. */
  readonly isLocal?: boolean;
}

/** File systems of this machine, by the number that statfs(2) shows. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x2fc12fc1]);
/** In memory: there is nothing to flush. */
const TMPFS = 0x01021994;

/** For a directory that is there, or is to be made in the one above. */
export async function diskFor(directory: string): Promise<Disk> {
  const found = await fs.statfs(directory).catch(() => fs.statfs(dirname(directory)).catch(() => undefined));
  const opensAtOnce = found !== undefined && LOCAL.has(found.type);
  const isLocal = opensAtOnce && found.type !== TMPFS && (await hasWholeDiskCalls());
  return createNodeDisk({ opensAtOnce, isLocal });
}

export function createNodeDisk({ opensAtOnce, reach: reachHere = reach, isLocal = false }: NodeDiskOptions): Disk {
  const held = new Set<string>();
  const aboveOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";
  const atOnce = (path: string, kind: Cached): Opened | undefined =>
    opensAtOnce && !held.has(aboveOf(path)) ? openCached(path, kind) : undefined;
  const within = async <T>(path: string, work: (place: string) => Promise<T>): Promise<T> => {
    const above = aboveOf(path);
    if (held.has(above)) return await work(path);
    const reaching = reachHere(above);
    const directory = reaching instanceof Promise ? await reaching : reaching;
    try {
      return await work(`${directory.path}/${path.slice(path.lastIndexOf("/") + 1)}`);
    } finally {
      directory.release();
    }
  };
  const between = (from: string, to: string, work: TwoPaths): Promise<void> =>
    within(from, (source) => within(to, (target) => settled((done) => work(source, target, done))));
  const hold = async (path: string): Promise<HeldDirectory> => {
    const cached = atOnce(path, "directory");
    const fd = cached?.descriptor ?? (await within(`${path}/.`, (place) => descriptor(place, DIRECTORY)));
    const name = nameOf(fd);
    if (name !== undefined) held.add(name);
    return {
      path: name ?? path,
      sync: () => settled((done) => fsync(fd, done)),
      syncFileSystem: () => syncFileSystem(fd),
      release() {
        if (name !== undefined) held.delete(name);
        (cached?.close ?? closeSync)(fd);
      },
    };
  };
  return {
    hold,
    async open(path, flags) {
      const cached = flags === "read" ? atOnce(path, "file") : undefined;
      if (cached !== undefined) return new NodeFile(cached.descriptor, cached.close);
      return new NodeFile(await within(path, (place) => descriptor(place, FLAGS[flags])));
    },
    rename: (from, to) => between(from, to, rename),
    renameNew: (from, to) => within(from, (source) => within(to, (target) => renameNew(source, target))),
    link: (from, to) => between(from, to, link),
    unlink: (path) => within(path, (place) => settled((done) => unlink(place, done))),
    makeDirectory: async (path) => await within(path, (place) => fs.mkdir(place)),
    removeDirectory: async (path) => await within(path, (place) => fs.rmdir(place)),
    async readDirectory(path) {
      const directory = await reachHere(path);
      try {
        const entries = await fs.readdir(directory.path, { withFileTypes: true });
        return entries.map((entry): DirectoryName => ({ name: entry.name, kind: kindOf(entry) }));
      } finally {
        directory.release();
      }
    },
    async stat(path) {
      const cached = atOnce(path, "entry");
      if (cached !== undefined) {
        try {
          return describe(fstatSync(cached.descriptor, { bigint: true }));
        } finally {
          cached.close(cached.descriptor);
        }
      }
      return await within(path, async (place) => describe(await look(place)));
    },
    async inspect(path, attribute) {
      const cached = atOnce(path, "entry");
      if (cached !== undefined) {
        const { descriptor: fd, close } = cached;
        try {
          const stat = describe(fstatSync(fd, { bigint: true }));
          return { stat, attribute: stat.kind === "file" ? await getXattrOfEntry(fd, attribute) : undefined };
        } finally {
          close(fd);
        }
      }
      return await within(path, async (place) => {
        const stat = describe(await look(place));
        return { stat, attribute: stat.kind === "file" ? await lgetXattr(place, attribute) : undefined };
      });
    },
    async copy(from, to) {
      const source = await within(from, (place) => descriptor(place, FLAGS.read));
      try {
        if (!fstatSync(source).isFile()) throw Object.assign(new Error(`${from} is no file.`), { code: "ENOENT" });
        await within(to, (place) =>
          fs.copyFile(nameOf(source) ?? from, place, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL),
        );
      } finally {
        closeSync(source);
      }
    },
    async syncDirectory(path) {
      const directory = await hold(path);
      try {
        await directory.sync();
      } finally {
        directory.release();
      }
    },
    async space(path) {
      const directory = await reachHere(path);
      try {
        const { bavail, blocks, bsize } = await fs.statfs(directory.path);
        return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
      } finally {
        directory.release();
      }
    },
    realPath: async (path) => await fs.realpath(path),
    isLocal,
    lock: async (path, kind) => await lockFile(await within(path, (place) => descriptor(place, LOCK_FILE)), kind),
  };
}

type Done = (error: Error | null) => void;
type TwoPaths = (from: string, to: string, done: Done) => void;

/** A call of `fs`, whose promises cost half as much again. */
function settled(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error === null ? resolve() : reject(error)));
  });
}

function look(path: string): Promise<BigIntStats> {
  return new Promise((resolve, reject) => {
    lstat(path, { bigint: true }, (error, stat) => (error === null ? resolve(stat) : reject(error)));
  });
}

/** For programs that look at a few files. */
export const nodeDisk: Disk = createNodeDisk({ opensAtOnce: false });

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
    place: `${stat.dev.toString(36)}-${stat.ino.toString(36)}`,
    identity: `${stat.dev.toString(36)}-${stat.ino.toString(36)}-${stat.size.toString(36)}-${stat.mtimeNs.toString(36)}`,
    bornNs: stat.birthtimeNs.toString(),
  };
}

class NodeFile implements DiskFile {
  readonly #fd: number;
  readonly #close: (fd: number) => unknown;
  #closed = false;

  constructor(fd: number, close: (fd: number) => unknown = closeSync) {
    this.#fd = fd;
    this.#close = close;
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
    return settled((done) => ftruncate(this.#fd, sizeBytes, done));
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
    return settled((done) => fsync(this.#fd, done));
  }

  syncFileSystem(): Promise<void> {
    return syncFileSystem(this.#fd);
  }

  /** At once, too: what had to be durable was synced before, so that nothing is left to write. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#close(this.#fd);
  }
}
