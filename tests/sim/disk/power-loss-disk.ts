import type {
  DirectoryName,
  Disk,
  DiskFile,
  DiskLock,
  DiskStat,
  HeldDirectory,
  OpenFlags,
} from "../../../src/core/ports/disk.ts";
import type { Random } from "../../../src/core/ports/random.ts";
import { FileNode } from "./power-loss-file.ts";
import { DirectoryNode, type Node, PowerLossTree } from "./power-loss-tree.ts";

/**
 * A disk in memory that forgets on power loss what was not flushed. Each call takes a seeded number of turns, so that operations that run
 * at once meet in many orders, and all calls are counted, so that a test can stop the machine before any of them.
 */
export interface PowerLossOptions {
  readonly random: Random;
  /** A flush that does nothing, as broken hardware has it: a test that cannot see this tests nothing. */
  readonly broken?: "file sync" | "directory sync" | "file system sync" | "log write";
  /** Default: no. See `Disk`. */
  readonly isLocal?: boolean;
}

const STEP_NS = 1_000n;
const MAX_NAME_BYTES = 255;

export class PowerLossDisk implements Disk {
  readonly #random: Random;
  readonly #broken: PowerLossOptions["broken"];
  #timeNs = 1_700_000_000_000_000_000n;
  readonly #tree = new PowerLossTree(this.#timeNs);
  #nextInode = 2;
  #calls = 0;
  #stopsAt = Number.POSITIVE_INFINITY;
  /** Files that were open before a stop belong to a process that is gone. */
  #boot = 0;
  readonly isLocal: boolean;
  /** By path: how many hold a lock together, or -1 for one alone. */
  readonly #locks = new Map<string, number>();

  constructor({ random, broken, isLocal = false }: PowerLossOptions) {
    this.#random = random;
    this.#broken = broken;
    this.isLocal = isLocal;
  }

  get calls(): number {
    return this.#calls;
  }

  get isStopped(): boolean {
    return this.#calls > this.#stopsAt;
  }

  /** The call after so many fails, and each later one. */
  stopAfter(calls: number): void {
    this.#stopsAt = calls;
  }

  /** The process is killed and started again: what the system had taken stays. */
  restart(): void {
    this.#boot += 1;
    this.#locks.clear();
    this.#calls = 0;
    this.#stopsAt = Number.POSITIVE_INFINITY;
  }

  /** The machine loses power and comes back. */
  crash(random: Random): void {
    this.#tree.losePower(random);
    this.restart();
  }

  async #call(boot = this.#boot): Promise<void> {
    for (let turns = Math.floor(this.#random.fraction() * 4); turns > 0; turns--) await Promise.resolve();
    this.#calls += 1;
    if (this.isStopped || boot !== this.#boot) throw failure("EIO", "the machine has stopped");
  }

  #tick(): bigint {
    this.#timeNs += STEP_NS;
    return this.#timeNs;
  }

  #find(path: string): Node {
    let node: Node = this.#tree.root;
    for (const name of path.split("/")) {
      if (name === "") continue;
      if (node.kind !== "directory") throw failure("ENOTDIR", path);
      if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw failure("ENAMETOOLONG", path);
      const next = node.entries.get(name);
      if (next === undefined) throw failure("ENOENT", path);
      node = next;
    }
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (node.kind !== "directory") throw failure("ENOTDIR", path);
    return node;
  }

  #place(path: string): { directory: DirectoryNode; name: string; node: Node | undefined } {
    const slash = path.lastIndexOf("/");
    const directory = this.#directory(path.slice(0, slash));
    const name = path.slice(slash + 1);
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw failure("ENAMETOOLONG", path);
    return { directory, name, node: directory.entries.get(name) };
  }

  #create(path: string): FileNode {
    const { directory, name, node } = this.#place(path);
    if (node !== undefined) throw failure("EEXIST", path);
    const file = new FileNode(this.#nextInode++, this.#tick());
    directory.modifiedNs = this.#tick();
    this.#tree.change({ directory, name, node: file });
    return file;
  }

  async open(path: string, flags: OpenFlags): Promise<DiskFile> {
    await this.#call();
    if (flags === "create") return this.#handle(this.#create(path));
    if (flags === "log") {
      const { node } = this.#place(path);
      if (node?.kind === "directory") throw failure("EISDIR", path);
      return this.#handle(node ?? this.#create(path), "log");
    }
    const node = this.#find(path);
    if (node.kind === "file") return this.#handle(node);
    if (flags === "update") throw failure("EISDIR", path);
    return this.#handle(node);
  }

  #handle(node: Node, as?: "log"): DiskFile {
    const boot = this.#boot;
    const call = async (): Promise<FileNode> => {
      await this.#call(boot);
      if (node.kind === "directory") throw failure("EISDIR", "a directory");
      return node;
    };
    return {
      read: async (buffer, position) => {
        const part = (await call()).now.bytes.subarray(position, position + buffer.byteLength);
        buffer.set(part);
        return part.byteLength;
      },
      write: async (buffers, position) => {
        const file = await call();
        let at = position;
        for (const buffer of buffers) {
          file.write(buffer, at, this.#tick());
          at += buffer.byteLength;
        }
        if (as !== "log") return;
        await call();
        if (this.#broken !== "log write") file.flush();
      },
      copyFrom: async (source, { start, sizeBytes, position }) => {
        const bytes = Buffer.alloc(sizeBytes);
        if ((await source.read(bytes, start)) !== sizeBytes) throw failure("EIO", "the source is too short");
        (await call()).write(bytes, position, this.#tick());
      },
      truncate: async (sizeBytes) => (await call()).truncate(sizeBytes, this.#tick()),
      stat: async () => {
        await this.#call(boot);
        return describe(node);
      },
      getAttribute: async (name) => (await call()).now.attributes.get(name)?.slice(),
      setAttribute: async (name, value) => (await call()).setAttribute(name, value),
      sync: async () => {
        const file = await call();
        if (this.#broken !== "file sync") file.flush();
      },
      syncFileSystem: async () => await this.#syncFileSystem(boot),
      close: async () => await this.#call(boot),
    };
  }

  async #syncFileSystem(boot: number): Promise<void> {
    await this.#call(boot);
    if (this.#broken !== "file system sync") this.#tree.flushAll();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call();
    this.#move(from, to);
  }

  async renameNew(from: string, to: string): Promise<void> {
    await this.#call();
    if (this.#place(from).node !== undefined && this.#place(to).node !== undefined) throw failure("EEXIST", to);
    this.#move(from, to);
  }

  #move(from: string, to: string): void {
    const source = this.#place(from);
    if (source.node === undefined) throw failure("ENOENT", from);
    const target = this.#place(to);
    if (target.node === source.node) return;
    if (target.node?.kind === "directory") {
      if (source.node.kind === "file") throw failure("EISDIR", to);
      if (target.node.entries.size > 0) throw failure("ENOTEMPTY", to);
    } else if (target.node !== undefined && source.node.kind === "directory") throw failure("ENOTDIR", to);
    source.directory.modifiedNs = target.directory.modifiedNs = this.#tick();
    this.#tree.change(
      { directory: source.directory, name: source.name, node: undefined },
      { directory: target.directory, name: target.name, node: source.node },
    );
  }

  async link(from: string, to: string): Promise<void> {
    await this.#call();
    const node = this.#find(from);
    const { directory, name, node: existing } = this.#place(to);
    if (existing !== undefined) throw failure("EEXIST", to);
    if (node.kind === "directory") throw failure("EPERM", from);
    directory.modifiedNs = this.#tick();
    this.#tree.change({ directory, name, node });
  }

  async unlink(path: string): Promise<void> {
    await this.#call();
    const { directory, name, node } = this.#place(path);
    if (node === undefined) throw failure("ENOENT", path);
    if (node.kind === "directory") throw failure("EISDIR", path);
    directory.modifiedNs = this.#tick();
    this.#tree.change({ directory, name, node: undefined });
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#call();
    const { directory, name, node } = this.#place(path);
    if (node !== undefined) throw failure("EEXIST", path);
    directory.modifiedNs = this.#tick();
    this.#tree.change({ directory, name, node: new DirectoryNode(this.#nextInode++, this.#tick()) });
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#call();
    const { directory, name, node } = this.#place(path);
    if (node === undefined) throw failure("ENOENT", path);
    if (node.kind === "file") throw failure("ENOTDIR", path);
    if (node.entries.size > 0) throw failure("ENOTEMPTY", path);
    directory.modifiedNs = this.#tick();
    this.#tree.change({ directory, name, node: undefined });
  }

  async readDirectory(path: string): Promise<DirectoryName[]> {
    await this.#call();
    return [...this.#directory(path).entries].map(([name, { kind }]) => ({ name, kind }));
  }

  async stat(path: string): Promise<DiskStat> {
    await this.#call();
    return describe(this.#find(path));
  }

  async inspect(
    path: string,
    attribute: string,
  ): Promise<{ readonly stat: DiskStat; readonly attribute: Uint8Array | undefined }> {
    await this.#call();
    const node = this.#find(path);
    return { stat: describe(node), attribute: node.kind === "file" ? node.now.attributes.get(attribute) : undefined };
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#call();
    const source = this.#find(from);
    if (source.kind === "directory") throw failure("EISDIR", from);
    this.#create(to).write(source.now.bytes, 0, this.#tick());
  }

  async hold(path: string): Promise<HeldDirectory> {
    this.#directory(path);
    return {
      path,
      sync: async () => await this.syncDirectory(path),
      syncFileSystem: async () => await this.#syncFileSystem(this.#boot),
      release: () => undefined,
    };
  }

  async lock(path: string, kind: "shared" | "exclusive"): Promise<DiskLock | undefined> {
    await this.#call();
    if (this.#place(path).node === undefined) this.#create(path);
    const held = this.#locks.get(path) ?? 0;
    if (held < 0 || (held > 0 && kind === "exclusive")) return undefined;
    this.#locks.set(path, kind === "exclusive" ? -1 : held + 1);
    const boot = this.#boot;
    return {
      release: () => {
        if (boot !== this.#boot) return;
        const now = this.#locks.get(path) ?? 0;
        this.#locks.set(path, now < 0 ? 0 : now - 1);
      },
    };
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call();
    const directory = this.#directory(path);
    if (this.#broken !== "directory sync") this.#tree.flush(directory);
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    await this.#call();
    return { freeBytes: 2 ** 30, totalBytes: 2 ** 31 };
  }

  async realPath(path: string): Promise<string> {
    await this.#call();
    this.#find(path);
    return path;
  }
}

function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

function describe(node: Node): DiskStat {
  const sizeBytes = node.kind === "file" ? node.now.bytes.byteLength : 0;
  const modifiedNs = node.kind === "file" ? node.now.modifiedNs : node.modifiedNs;
  return {
    kind: node.kind,
    sizeBytes,
    modifiedMs: Number(modifiedNs / 1_000_000n),
    modifiedNs: modifiedNs.toString(),
    place: String(node.inode),
    bornNs: node.bornNs.toString(),
    identity: `${node.inode}-${sizeBytes}-${modifiedNs}`,
  };
}
