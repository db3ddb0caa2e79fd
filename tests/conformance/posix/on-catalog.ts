import type { Inode } from "../../../src/core/ids.ts";
import { isGfsError } from "../../../src/core/errors.ts";
import { ROOT_INODE, type VersionId } from "../../../src/core/ids.ts";
import type { Moment } from "../../../src/core/moment.ts";
import { createMemoryKv, type Kv, type Program, type Reader, type Transaction } from "../../../src/kv/index.ts";
import { initialize, posix } from "../../../src/namespace/index.ts";
import { CALLERS, type Command, type Node, RDEV, ROOT_MODE, type Step, type Time } from "./commands.ts";

/** The same commands, on a catalog, by callers that no kernel checks. */
export class OnCatalog {
  readonly kv: Kv = createMemoryKv();
  #inodes = 1;
  #ticks = 0;
  #ids = 0;

  async initialize(): Promise<void> {
    await this.kv.transact((tx) => initialize(tx, 1_000));
    const now = this.#now();
    await this.kv.transact((tx) => posix.setattr(tx, { inode: ROOT_INODE, mode: ROOT_MODE, now }));
  }

  /** Every command has a moment of its own. */
  #now(): Moment {
    this.#ticks += 1;
    return { ms: 1_800_000_000_000, ns: this.#ticks };
  }

  async step(command: Command): Promise<Step> {
    const now = this.#now();
    const outcome = await this.kv
      .transact((tx) => this.#run(tx, command, now))
      .catch((error: unknown) => (isGfsError(error) || error instanceof Absent ? error.meaning.errno : String(error)));
    return { outcome, tree: await this.kv.view((tx) => look(tx)) };
  }

  *#run(tx: Transaction, command: Command, now: Moment): Program<string> {
    const who = CALLERS[command.who] as (typeof CALLERS)[number];
    const { path } = command;
    const maker = { now, nextInode: (): Inode => ++this.#inodes as Inode };
    const inodeAt = function* (last: "follow" | "itself" = "itself"): Program<Inode> {
      const { file } = yield* posix.walk(tx, { path, last, who });
      return file?.inode ?? absent();
    };
    const childAt = function* (each: string): Program<posix.Child> {
      return (yield* posix.walk(tx, { path: each, last: "name", who })).child ?? absent();
    };
    const newChildAt = function* (each: string): Program<posix.Child> {
      const { child, slash } = yield* posix.walk(tx, { path: each, last: "name", who });
      // Only a directory is made under a name with a slash behind it.
      return child !== undefined && !slash ? child : absent();
    };
    const tombstoneVersionId = `01TEST${String((this.#ids += 1)).padStart(20, "0")}` as VersionId;
    switch (command.op) {
      case "mknod": {
        const { kind, mode } = command;
        yield* posix.checked.mknod(tx, who, { ...(yield* newChildAt(path)), ...maker, kind, mode, rdev: RDEV });
        return "ok";
      }
      case "mkdir":
        yield* posix.checked.mkdir(tx, who, { ...(yield* childAt(path)), ...maker, mode: command.mode });
        return "ok";
      case "symlink":
        yield* posix.checked.symlink(tx, who, { ...(yield* newChildAt(path)), ...maker, target: command.target });
        return "ok";
      case "link": {
        const inode = yield* inodeAt();
        yield* posix.checked.link(tx, who, { ...(yield* newChildAt(command.to)), inode, now });
        return "ok";
      }
      case "rename":
      case "renameNoReplace": {
        const [from, to] = [yield* childAt(path), yield* childAt(command.to)];
        const noReplace = command.op === "renameNoReplace";
        yield* posix.checked.rename(tx, who, { from, to, noReplace, tombstoneVersionId, ...maker });
        return "ok";
      }
      case "exchange": {
        const [one, other] = [yield* childAt(path), yield* childAt(command.to)];
        yield* posix.checked.exchange(tx, who, { one, other, now, tombstoneVersionId });
        return "ok";
      }
      case "unlink":
        yield* posix.checked.unlink(tx, who, { ...(yield* childAt(path)), ...maker, tombstoneVersionId });
        return "ok";
      case "rmdir":
        yield* posix.checked.rmdir(tx, who, { ...(yield* childAt(path)), now });
        return "ok";
      case "lstat": {
        const { kind, mode } = (yield* posix.walk(tx, { path, last: "itself", who })).file ?? absent();
        return `ok ${(FORMATS[kind] | mode).toString(8)}`;
      }
      case "readdir": {
        const page = yield* posix.checked.readdir(tx, who, { inode: yield* inodeAt("follow"), limit: 100 });
        return `ok ${JSON.stringify(page.entries.map(({ name }) => name).sort())}`;
      }
      case "readlink":
        return `ok ${yield* posix.readlink(tx, yield* inodeAt())}`;
      case "chmod":
        yield* posix.checked.setattr(tx, who, { inode: yield* inodeAt("follow"), mode: command.mode, now });
        return "ok";
      case "chown": {
        const { uid, gid } = command;
        const owners = { ...(uid === -1 ? {} : { uid }), ...(gid === -1 ? {} : { gid }) };
        yield* posix.checked.setattr(tx, who, { inode: yield* inodeAt(), ...owners, now });
        return "ok";
      }
      case "utimes": {
        const times = { ...timeOf("accessed", command.accessed), ...timeOf("modified", command.modified) };
        // Then the kernel does not even look at the path.
        if (Object.keys(times).length === 0) return "ok";
        yield* posix.checked.setattr(tx, who, { inode: yield* inodeAt(), ...times, now });
        return "ok";
      }
      case "setxattr": {
        const { name } = command;
        const only =
          command.only === 0 ? {} : { only: command.only === 1 ? ("create" as const) : ("replace" as const) };
        const value = Buffer.from(command.value);
        yield* posix.checked.setxattr(tx, who, { inode: yield* inodeAt(), name, value, ...only, now });
        return "ok";
      }
      case "getxattr": {
        const value = yield* posix.checked.getxattr(tx, who, yield* inodeAt(), command.name);
        return `ok ${Buffer.from(value).toString()}`;
      }
      case "removexattr":
        yield* posix.checked.removexattr(tx, who, { inode: yield* inodeAt(), name: command.name, now });
        return "ok";
      case "listxattr":
        return `ok ${(yield* posix.checked.listxattr(tx, who, yield* inodeAt())).join(" ")}`;
    }
  }
}

const FORMATS = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  characterDevice: 0o020000,
  blockDevice: 0o060000,
};

class Absent extends Error {
  readonly meaning = { errno: "ENOENT" };
}

function absent(): never {
  throw new Absent("ENOENT");
}

function timeOf(name: "accessed" | "modified", time: Time): Partial<posix.SetAttr> {
  if (time === "omit") return {};
  if (time === "now") return { [name]: time };
  const inMs = time.seconds * 1_000 + Math.floor(time.nanoseconds / 1e6);
  return { [name]: { ms: inMs, ns: time.nanoseconds % 1e6 } };
}

function* look(tx: Reader): Program<Record<string, Node>> {
  const tree: Record<string, Node> = {};
  const visit = function* (inode: Inode, path: string): Program<void> {
    for (const { name, attributes } of (yield* posix.readdirplus(tx, { inode, limit: 1_000 })).entries) {
      const { kind, mode, uid, gid, linkCount, sizeBytes, rdev, target } = attributes;
      const place = `${path}${name}`;
      const extended: string[] = [];
      for (const each of yield* posix.listxattr(tx, attributes.inode))
        extended.push(`${each}=${Buffer.from(yield* posix.getxattr(tx, attributes.inode, each)).toString()}`);
      tree[place] = {
        inode: attributes.inode,
        kind,
        mode,
        uid,
        gid,
        links: linkCount,
        ...(kind === "file" || kind === "symlink" ? { size: sizeBytes } : {}),
        ...(rdev === undefined ? {} : { rdev }),
        ...(target === undefined ? {} : { target }),
        attributes: extended.sort().join(" "),
        modified: nanoseconds(attributes.modified),
        changed: nanoseconds(attributes.changed),
      };
      if (kind === "directory") yield* visit(attributes.inode, `${place}/`);
    }
  };
  yield* visit(ROOT_INODE, "");
  return tree;
}

function nanoseconds({ ms, ns }: Moment): string {
  return String(BigInt(ms) * 1_000_000n + BigInt(ns));
}
