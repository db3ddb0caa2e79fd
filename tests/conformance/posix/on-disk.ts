import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { getSystemErrorName } from "node:util";
import { bytesOfText, textOfBytes } from "../../../src/core/byte-text.ts";
import { CALLERS, type Command, type Kind, type Node, RDEV, ROOT_MODE, type Step, type Time } from "./commands.ts";

/** Does what it is told in a directory of its own, as root and as others, and says what came of it: JSON from the standard input to the standard output. */

const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
const libc = koffi.load("libc.so.6");
const timespec = koffi.struct("timespec", { seconds: "int64_t", nanoseconds: "int64_t" });
koffi.array(timespec, 2);
const calls = {
  mknod: libc.func("int mknod(const uint8_t *path, uint32_t mode, uint64_t dev)"),
  renameat2: libc.func(
    "int renameat2(int from, const uint8_t *path, int to, const uint8_t *other, unsigned int flags)",
  ),
  utimensat: libc.func("int utimensat(int dir, const uint8_t *path, timespec *times, int flags)"),
  lchown: libc.func("int lchown(const uint8_t *path, uint32_t uid, uint32_t gid)"),
  lsetxattr: libc.func(
    "int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)",
  ),
  lgetxattr: libc.func("long lgetxattr(const uint8_t *path, const char *name, _Out_ uint8_t *value, size_t size)"),
  llistxattr: libc.func("long llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)"),
  lremovexattr: libc.func("int lremovexattr(const uint8_t *path, const char *name)"),
};
const AT_FDCWD = -100;
const NOFOLLOW = 0x100;
const KINDS: Record<Kind, number> = {
  file: 0o100000,
  fifo: 0o010000,
  socket: 0o140000,
  characterDevice: 0o020000,
  blockDevice: 0o060000,
};
const UTIME_NOW = (1 << 30) - 1;
const UTIME_OMIT = (1 << 30) - 2;

class Failed extends Error {}

function checked(result: number): number {
  if (result < 0) throw new Failed(getSystemErrorName(-koffi.errno()));
  return result;
}

function bytes(text: string): Buffer {
  return Buffer.concat([bytesOfText(text), Buffer.alloc(1)]);
}

function timeOf(time: Time): { seconds: number; nanoseconds: number } {
  if (time === "now") return { seconds: 0, nanoseconds: UTIME_NOW };
  return time === "omit" ? { seconds: 0, nanoseconds: UTIME_OMIT } : time;
}

function listAttributes(place: Buffer): string[] {
  const list = Buffer.alloc(65_536);
  const size = checked(calls.llistxattr(place, list, list.length) as number);
  const names = list.toString("latin1", 0, size).split("\0");
  return names.filter((name) => /^(user|trusted)\./.test(name)).sort();
}

function getAttribute(place: Buffer, name: string): string {
  const value = Buffer.alloc(1_024);
  return value.toString("latin1", 0, checked(calls.lgetxattr(place, name, value, value.length) as number));
}

/** Bytes, as the command has them: Node's calls take buffers, too. */
function run(command: Command): string {
  const place = bytesOfText(command.path);
  const terminated = bytes(command.path);
  switch (command.op) {
    case "mknod": {
      const isDevice = command.kind === "characterDevice" || command.kind === "blockDevice";
      checked(calls.mknod(terminated, KINDS[command.kind] | command.mode, isDevice ? RDEV : 0) as number);
      return "ok";
    }
    case "mkdir":
      fs.mkdirSync(place, command.mode);
      return "ok";
    case "symlink":
      fs.symlinkSync(bytesOfText(command.target), place);
      return "ok";
    case "link":
      fs.linkSync(place, bytesOfText(command.to));
      return "ok";
    case "rename":
    case "renameNoReplace":
    case "exchange": {
      const flags = { rename: 0, renameNoReplace: 1, exchange: 2 }[command.op];
      checked(calls.renameat2(AT_FDCWD, terminated, AT_FDCWD, bytes(command.to), flags) as number);
      return "ok";
    }
    case "unlink":
      fs.unlinkSync(place);
      return "ok";
    case "rmdir":
      fs.rmdirSync(place);
      return "ok";
    case "lstat":
      return `ok ${fs.lstatSync(place).mode.toString(8)}`;
    case "readdir":
      return `ok ${JSON.stringify(
        fs
          .readdirSync(place, { encoding: "buffer" })
          .map((name) => textOfBytes(name))
          .sort(),
      )}`;
    case "readlink":
      return `ok ${textOfBytes(fs.readlinkSync(place, { encoding: "buffer" }))}`;
    case "chmod":
      fs.chmodSync(place, command.mode);
      return "ok";
    case "chown":
      checked(calls.lchown(terminated, command.uid >>> 0, command.gid >>> 0) as number);
      return "ok";
    case "utimes": {
      const times = [timeOf(command.accessed), timeOf(command.modified)];
      checked(calls.utimensat(AT_FDCWD, terminated, times, NOFOLLOW) as number);
      return "ok";
    }
    case "setxattr": {
      const value = Buffer.from(command.value);
      checked(calls.lsetxattr(terminated, command.name, value, value.length, command.only) as number);
      return "ok";
    }
    case "getxattr":
      return `ok ${getAttribute(terminated, command.name)}`;
    case "removexattr":
      checked(calls.lremovexattr(terminated, command.name) as number);
      return "ok";
    case "listxattr":
      return `ok ${listAttributes(terminated).join(" ")}`;
  }
}

function as(caller: (typeof CALLERS)[number], work: () => string): string {
  process.setgroups?.([...caller.groups]);
  process.setegid?.(caller.gid);
  process.seteuid?.(caller.uid);
  try {
    return work();
  } catch (error) {
    return error instanceof Failed ? error.message : String((error as { code?: string }).code ?? error);
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.([]);
  }
}

function look(): Record<string, Node> {
  const tree: Record<string, Node> = {};
  const visit = (below: Buffer): void => {
    for (const name of fs.readdirSync(below, { encoding: "buffer" })) {
      const place = Buffer.concat([below, Buffer.from("/"), name]);
      const stat = fs.lstatSync(place, { bigint: true });
      const kind = kindOf(stat);
      const terminated = Buffer.concat([place, Buffer.alloc(1)]);
      tree[textOfBytes(place).slice(2)] = {
        inode: Number(stat.ino),
        kind,
        mode: Number(stat.mode) & 0o7777,
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        links: Number(stat.nlink),
        ...(kind === "file" || kind === "symlink" ? { size: Number(stat.size) } : {}),
        ...(kind.endsWith("Device") ? { rdev: Number(stat.rdev) } : {}),
        ...(kind === "symlink" ? { target: textOfBytes(fs.readlinkSync(place, { encoding: "buffer" })) } : {}),
        attributes: listAttributes(terminated)
          .map((each) => `${each}=${getAttribute(terminated, each)}`)
          .join(" "),
        modified: String(stat.mtimeNs),
        changed: String(stat.ctimeNs),
      };
      if (kind === "directory") visit(place);
    }
  };
  visit(Buffer.from("."));
  return tree;
}

function kindOf(stat: fs.BigIntStats): string {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isBlockDevice() ? "blockDevice" : "characterDevice";
}

/** Whether two changes that follow each other at once show in the times, as kernels of these days have it once somebody has looked. */
function hasFineTimes(): boolean {
  let seen = 0;
  const changed = (): bigint => fs.lstatSync("probe", { bigint: true }).ctimeNs;
  fs.mkdirSync("probe");
  for (let turn = 0; turn < 40; turn++) {
    const before = changed();
    if (turn % 2 === 0) fs.mkdirSync("probe/below");
    else fs.rmdirSync("probe/below");
    if (changed() !== before) seen += 1;
  }
  fs.rmdirSync("probe");
  return seen === 40;
}

process.umask(0);
const { root, sequences } = JSON.parse(fs.readFileSync(0, "utf8")) as { root: string; sequences: Command[][] };
process.chdir(root);
// What leads out of a tree finds nothing there, whoever looks.
fs.chmodSync(root, 0o755);
const fine = hasFineTimes();
const answers = sequences.map((commands, index): Step[] => {
  const own = path.join(root, String(index));
  fs.mkdirSync(own);
  fs.chmodSync(own, ROOT_MODE);
  process.chdir(own);
  const steps = commands.map((command): Step => {
    const outcome = as(CALLERS[command.who] as (typeof CALLERS)[number], () => run(command));
    return { outcome, tree: look() };
  });
  process.chdir(root);
  fs.rmSync(own, { recursive: true });
  return steps;
});
fs.writeSync(1, JSON.stringify({ fine, answers }));
