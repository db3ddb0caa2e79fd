import * as fc from "fast-check";
import * as fs from "node:fs";
import { join } from "node:path";
import * as calls from "./support/system-calls.ts";

const SLOTS = 3;
const PAGE = 4096;
const O_TMPFILE = 0o20200000;
const AT_SYMLINK_FOLLOW = 0x400;

/** One directory in which steps are carried out, with the files that they have open. */
export class Playground {
  readonly root: string;
  readonly #slots: (number | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

  constructor(root: string) {
    this.root = root;
    fs.mkdirSync(root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  open(slot: number, open: () => number): string {
    this.close(slot);
    this.#slots[slot] = open();
    return "opened";
  }

  slot(slot: number): number {
    const descriptor = this.#slots[slot];
    if (descriptor === undefined) throw Object.assign(new Error("nothing is open"), { code: "nothing open" });
    return descriptor;
  }

  close(slot: number): string {
    const descriptor = this.#slots[slot];
    if (descriptor === undefined) return "nothing open";
    fs.closeSync(descriptor);
    this.#slots[slot] = undefined;
    return "closed";
  }

  end(): void {
    for (let slot = 0; slot < SLOTS; slot += 1) this.close(slot);
  }
}

/** Something that is done in every playground alike. What it returns, or the code of what it throws, has to be the same everywhere. */
export interface Step {
  readonly text: string;
  run(playground: Playground): unknown;
}

const step = (text: string, run: Step["run"]): Step => ({ text, run });

const name = fc.constantFrom("a", "b", "c", "d", "e", "d/a", "d/b", "e/a", "e/d", "link", "missing/a");
const slot = fc.integer({ min: 0, max: SLOTS - 1 });
const offset = fc.oneof(
  fc.integer({ min: 0, max: 3 * PAGE }),
  fc.constantFrom(0, 1, PAGE - 1, PAGE, 5 * PAGE, 40 * PAGE),
);
const size = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(0, 1, PAGE, 2 * PAGE + 7, 20 * PAGE));
const letter = fc.constantFrom("a", "b", "c", "d");
const mode = fc.constantFrom(0o644, 0o600, 0o4755, 0o2755, 0o2644, 0o1777, 0o000);
/** With passthrough of writes, root's writes clear set-user-id, too, if it was set while the file was open. */
const plainMode = fc.constantFrom(0o644, 0o600, 0o1777, 0o755, 0o000);
const openFlags = fc.constantFrom("r", "r+", "w", "w+", "wx", "a", "a+", "ax");

const paths: fc.Arbitrary<Step>[] = [
  name.map((at) => step(`mkdir ${at}`, (ground) => fs.mkdirSync(ground.path(at)))),
  name.map((at) => step(`rmdir ${at}`, (ground) => fs.rmdirSync(ground.path(at)))),
  name.map((at) => step(`unlink ${at}`, (ground) => fs.unlinkSync(ground.path(at)))),
  name.map((at) => step(`list ${at}`, (ground) => fs.readdirSync(ground.path(at)).toSorted().join())),
  name.map((at) => step(`stat ${at}`, (ground) => describeFile(ground.path(at)))),
  name.map((at) => step(`fifo ${at}`, (ground) => calls.mknod(ground.path(at), 0o010644, 0))),
  fc
    .tuple(name, name)
    .map(([to, at]) => step(`symlink ${at} -> ${to}`, (ground) => fs.symlinkSync(to, ground.path(at)))),
  name.map((at) => step(`readlink ${at}`, (ground) => fs.readlinkSync(ground.path(at)))),
  fc
    .tuple(name, name)
    .map(([from, to]) => step(`link ${from} ${to}`, (ground) => fs.linkSync(ground.path(from), ground.path(to)))),
  fc
    .tuple(name, name, fc.constantFrom(0, 0, 1, 2))
    .map(([from, to, flags]) =>
      step(`rename ${from} ${to} ${flags}`, (ground) =>
        calls.renameat2(calls.AT_FDCWD, ground.path(from), calls.AT_FDCWD, ground.path(to), flags),
      ),
    ),
  fc
    .tuple(name, plainMode)
    .map(([at, bits]) => step(`chmod ${at} ${bits.toString(8)}`, (ground) => fs.chmodSync(ground.path(at), bits))),
  fc
    .tuple(name, fc.constantFrom(0, 1000))
    .map(([at, id]) => step(`chown ${at} ${id}`, (ground) => fs.lchownSync(ground.path(at), id, id))),
  fc.tuple(name, offset).map(([at, end]) =>
    step(`truncate ${at} ${end}`, (ground) => {
      // A pipe would make everybody wait for its other end.
      if (fs.statSync(ground.path(at)).isFIFO()) return "a pipe";
      return fs.truncateSync(ground.path(at), end);
    }),
  ),
  fc.tuple(name, fc.integer({ min: 0, max: 4_000_000_000 })).map(([at, time]) =>
    step(`times ${at} ${time}`, (ground) => {
      fs.lutimesSync(ground.path(at), time, time + 1);
      return fs.lstatSync(ground.path(at)).mtimeMs;
    }),
  ),
];

const attributes: fc.Arbitrary<Step>[] = [
  fc
    .tuple(name, letter, letter, fc.constantFrom(0, 1, 2))
    .map(([at, key, value, flags]) =>
      step(`setxattr ${at} ${key} ${value} ${flags}`, (ground) =>
        calls.setxattr(ground.path(at), `user.${key}`, Buffer.from(value), 1, flags),
      ),
    ),
  fc.tuple(name, letter).map(([at, key]) =>
    step(`getxattr ${at} ${key}`, (ground) => {
      const into = Buffer.alloc(8);
      return into.toString("utf8", 0, calls.getxattr(ground.path(at), `user.${key}`, into, into.length));
    }),
  ),
  fc
    .tuple(name, letter)
    .map(([at, key]) =>
      step(`removexattr ${at} ${key}`, (ground) => calls.removexattr(ground.path(at), `user.${key}`)),
    ),
];

const files: fc.Arbitrary<Step>[] = [
  fc.tuple(slot, name, openFlags, mode).map(([index, at, flags, bits]) =>
    step(`open ${index} ${at} ${flags} ${bits.toString(8)}`, (ground) => {
      const path = ground.path(at);
      if (fs.statSync(path, { throwIfNoEntry: false })?.isFIFO() === true) return "a pipe";
      return ground.open(index, () => fs.openSync(path, flags, bits));
    }),
  ),
  fc
    .tuple(slot, fc.constantFrom(".", "d", "a"))
    .map(([index, at]) =>
      step(`tmpfile ${index} ${at}`, (ground) =>
        ground.open(index, () => calls.openFile(ground.path(at), O_TMPFILE | 2, 0o600)),
      ),
    ),
  fc
    .tuple(slot, name)
    .map(([index, at]) =>
      step(`linkat ${index} ${at}`, (ground) =>
        calls.linkat(
          calls.AT_FDCWD,
          `/proc/self/fd/${ground.slot(index)}`,
          calls.AT_FDCWD,
          ground.path(at),
          AT_SYMLINK_FOLLOW,
        ),
      ),
    ),
  slot.map((index) => step(`close ${index}`, (ground) => ground.close(index))),
  fc
    .tuple(slot, offset, size, letter)
    .map(([index, at, length, fill]) =>
      step(`write ${index} ${at} ${length}`, (ground) =>
        fs.writeSync(ground.slot(index), Buffer.alloc(length, fill), 0, length, at),
      ),
    ),
  fc
    .tuple(slot, size, letter)
    .map(([index, length, fill]) =>
      step(`write on ${index} ${length}`, (ground) =>
        fs.writeSync(ground.slot(index), Buffer.alloc(length, fill), 0, length),
      ),
    ),
  fc.tuple(slot, offset, size).map(([index, at, length]) =>
    step(`read ${index} ${at} ${length}`, (ground) => {
      const into = Buffer.alloc(length);
      return into.toString("latin1", 0, fs.readSync(ground.slot(index), into, 0, length, at));
    }),
  ),
  fc
    .tuple(slot, offset)
    .map(([index, end]) => step(`ftruncate ${index} ${end}`, (ground) => fs.ftruncateSync(ground.slot(index), end))),
  slot.map((index) => step(`fstat ${index}`, (ground) => describeStats(fs.fstatSync(ground.slot(index))))),
  slot.map((index) => step(`fsync ${index}`, (ground) => fs.fsyncSync(ground.slot(index)))),
  fc
    .tuple(slot, fc.constantFrom(0, 1, 3, 16, 17), offset, size)
    .map(([index, kind, at, length]) =>
      step(`fallocate ${index} ${kind} ${at} ${length}`, (ground) =>
        calls.fallocate(ground.slot(index), kind, at, length),
      ),
    ),
  slot.map((index) => step(`holes ${index}`, (ground) => checkHoles(ground.slot(index)))),
  fc
    .tuple(slot, slot, size)
    .map(([from, to, length]) =>
      step(`copy ${from} ${to} ${length}`, (ground) =>
        calls.copyFileRange(ground.slot(from), null, ground.slot(to), null, length, 0),
      ),
    ),
  fc
    .tuple(slot, fc.constantFrom(1, 2, 8))
    .map(([index, operation]) =>
      step(`flock ${index} ${operation}`, (ground) => calls.flock(ground.slot(index), operation | 4)),
    ),
  fc
    .tuple(slot, fc.nat(PAGE - 1), letter)
    .map(([index, at, fill]) => step(`map ${index} ${at}`, (ground) => changeMapping(ground.slot(index), at, fill))),
];

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(...paths) },
  { weight: 1, arbitrary: fc.oneof(...attributes) },
  { weight: 6, arbitrary: fc.oneof(...files) },
);

/** Carries a step out and tells what came of it. */
export function outcome({ run }: Step, playground: Playground): unknown {
  try {
    return run(playground) ?? "done";
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === undefined) throw error;
    return code;
  }
}

/** Everything below a playground that has to be the same in all of them. */
export function snapshot(root: string): readonly string[] {
  const lines: string[] = [];
  for (const entry of fs.readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted()) {
    const path = join(root, entry);
    lines.push(`${entry} ${describeFile(path)}`);
    const stats = fs.lstatSync(path);
    if (stats.isSymbolicLink()) lines.push(fs.readlinkSync(path));
    if (stats.isFile()) lines.push(contentOf(path));
  }
  return lines;
}

function contentOf(path: string): string {
  try {
    return fs.readFileSync(path, "latin1");
  } catch (error) {
    return `cannot be read: ${String(error)}`;
  }
}

function describeFile(path: string): string {
  return describeStats(fs.lstatSync(path));
}

/** What a directory says of its size is its own affair. */
function describeStats(stats: fs.Stats): string {
  const { mode, nlink, uid, gid } = stats;
  return `${mode.toString(8)} ${nlink} ${uid}:${gid} ${stats.isDirectory() ? "" : stats.size}`;
}

/** Where the holes are may differ; that nothing but zeros is in them may not. */
function checkHoles(descriptor: number): string {
  const { size: end } = fs.fstatSync(descriptor);
  // Fails alike everywhere if it is not open for reading, whether there are holes or not.
  fs.readSync(descriptor, Buffer.alloc(1), 0, 1, 0);
  let position = 0;
  while (position < end) {
    let data = end;
    try {
      data = calls.lseek(descriptor, position, 3);
    } catch (error) {
      if ((error as { readonly code?: string }).code !== "ENXIO") throw error;
    }
    const into = Buffer.alloc(data - position);
    const readBytes = fs.readSync(descriptor, into, 0, into.length, position);
    if (into.subarray(0, readBytes).some((byte) => byte !== 0)) return `data in the hole at ${position}`;
    if (data >= end) break;
    const hole = calls.lseek(descriptor, data, 4);
    if (hole <= data) return `a hole at ${hole} before the data at ${data}`;
    position = hole;
  }
  calls.lseek(descriptor, 0, 0);
  return `${end} bytes`;
}

/** Changes a byte of the first page by way of a mapping, and reads it in the ordinary way. */
function changeMapping(descriptor: number, at: number, fill: string): string {
  const { size: end } = fs.fstatSync(descriptor);
  if (end <= at) return "too short";
  // Both are needed for a shared mapping that is written to.
  fs.readSync(descriptor, Buffer.alloc(1), 0, 1, 0);
  fs.writeSync(descriptor, Buffer.alloc(0), 0, 0, 0);
  calls.withMapping(descriptor, PAGE, (bytes) => void bytes.write(fill, at));
  const into = Buffer.alloc(1);
  fs.readSync(descriptor, into, 0, 1, at);
  return into.toString();
}
