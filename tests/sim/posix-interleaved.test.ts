import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { type Inode, ROOT_INODE, type SessionId, type VersionId } from "../../src/core/ids.ts";
import type { Moment } from "../../src/core/moment.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { createMemoryKv, type Kv, type Program, type Reader, type Transaction } from "../../src/kv/index.ts";
import { SortedTable } from "../../src/kv/engines/sorted-table.ts";
import {
  checkCatalog,
  findByInode,
  initialize,
  posix,
  readQuota,
  tellUsage,
  usageBelow,
} from "../../src/namespace/index.ts";
import { changedOf, Errno, modifiedOf, TreeModel } from "../../src/namespace/posix/testing/tree-model.ts";
import { testVersion } from "../../src/namespace/testing/model.ts";
import { type Finished, runActors } from "./kv/interleave.ts";

/** Actors who work on one tree by inode and name, one read of one of them after the other, beside a model that does what they did, in the order in which it counts. */

type Command = {
  readonly child: posix.Child;
  readonly to: posix.Child;
  readonly inode: Inode;
  readonly heldBy: readonly SessionId[];
  readonly number: number;
} & (
  | { readonly op: "mknod" | "mkdir" | "symlink" | "link" | "unlink" | "rmdir" | "rename" | "noReplace" | "exchange" }
  | { readonly op: "chmod" | "utimes" | "setxattr" | "removexattr" | "commit" | "release" | "limit" | "tell" }
);

/** Made at the beginning; and what the commands may make has such numbers, too. */
const BEGIN = [
  { inode: 2, parent: 1, name: "a", kind: "directory" },
  { inode: 3, parent: 1, name: "b", kind: "directory" },
  { inode: 4, parent: 2, name: "b", kind: "directory" },
  { inode: 5, parent: 2, name: "c", kind: "file" },
  { inode: 6, parent: 1, name: "c", kind: "file" },
] as const;
/** It has a second name. */
const LINKED = { inode: 5 as Inode, child: { parent: 3 as Inode, name: "a" } };
const MADE_BY_FIRST = 10 as Inode;
const DIRECTORIES = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 6, 10, 11].map((inode) => inode as Inode);
const INODES = [1, 2, 3, 4, 5, 5, 5, 6, 6, 6, 10, 11, 12].map((inode) => inode as Inode);
const SESSIONS = ["one", "other"] as SessionId[];
const MODE = 0o755;
/** So little that quotas refuse things. */
const BYTES = 110;
const INODES_BELOW = 3;
const MAKER = { uid: 7, gid: 8 };

const childArbitrary = fc.record({ parent: fc.constantFrom(...DIRECTORIES), name: fc.constantFrom("a", "b", "c") });
const commandArbitrary = fc.record({
  op: fc.constantFrom(
    ...([
      "mknod",
      "mkdir",
      "mkdir",
      "symlink",
      "link",
      "link",
      "unlink",
      "unlink",
      "rmdir",
      "rename",
      "rename",
    ] as const),
    ...([
      "rename",
      "noReplace",
      "exchange",
      "chmod",
      "utimes",
      "setxattr",
      "removexattr",
      "commit",
      "release",
      "limit",
      "tell",
    ] as const),
  ),
  child: childArbitrary,
  to: childArbitrary,
  inode: fc.constantFrom(...INODES),
  heldBy: fc.subarray(SESSIONS),
});
const actorsArbitrary = fc
  .array(fc.array(commandArbitrary, { minLength: 4, maxLength: 10, size: "max" }), { minLength: 2, maxLength: 3 })
  .map((actors): Command[][] => {
    let number = 0;
    return actors.map((commands) => commands.map((command) => ({ ...command, number: number++ })));
  });

/** Each command has a moment, an inode and a version of its own, however often it runs. */
const nowOf = ({ number }: Command): Moment => ({ ms: 2_000 + number, ns: 1 + number });
const inodeOf = ({ number }: Command): Inode => (MADE_BY_FIRST + number) as Inode;
const idOf = ({ number }: Command): VersionId => `01TEST${String(number).padStart(20, "0")}` as VersionId;

function* onCatalog(tx: Transaction, command: Command): Program<unknown> {
  const { child, to, inode, heldBy } = command;
  const now = nowOf(command);
  const nextInode = (): Inode => inodeOf(command);
  const make = { ...child, ...MAKER, now, nextInode };
  const tombstoneVersionId = idOf(command);
  switch (command.op) {
    case "mknod":
      return yield* posix.mknod(tx, { ...make, kind: "file", mode: MODE });
    case "mkdir":
      return yield* posix.mkdir(tx, { ...make, mode: MODE });
    case "symlink":
      return yield* posix.symlink(tx, { ...make, target: "abc" });
    case "link":
      return yield* posix.link(tx, { ...child, inode, now });
    case "unlink":
      return yield* posix.unlink(tx, { ...child, now, heldBy, tombstoneVersionId });
    case "rmdir":
      return yield* posix.rmdir(tx, { ...child, now, heldBy });
    case "rename":
    case "noReplace": {
      const noReplace = command.op === "noReplace";
      return yield* posix.rename(tx, { from: child, to, noReplace, heldBy, now, tombstoneVersionId });
    }
    case "exchange":
      return yield* posix.exchange(tx, { one: child, other: to, now, tombstoneVersionId });
    case "chmod":
      return yield* posix.setattr(tx, { inode, mode: command.number, now });
    case "utimes":
      return yield* posix.setattr(tx, { inode, modified: { ms: 5, ns: command.number }, now });
    case "setxattr":
      return yield* posix.setxattr(tx, { inode, name: "user.a", value: Buffer.from(String(command.number)), now });
    case "removexattr":
      return yield* posix.removexattr(tx, { inode, name: "user.a", now });
    case "commit": {
      const key = `objects/${idOf(command)}`;
      const version = { ...testVersion("x", { id: idOf(command), key }), sizeBytes: sizeOf(command) };
      return yield* posix.commit(tx, { inode, version, expect: "any", modified: now, now, nextInode });
    }
    case "limit":
      return yield* posix.setQuota(tx, inode, { maxBytes: BYTES, maxInodes: INODES_BELOW });
    case "tell":
      return yield* tellUsage(tx);
    case "release":
      return yield* posix.releaseOrphan(tx, { session: SESSIONS[0] as SessionId, inode, now, tombstoneVersionId });
  }
}

const sizeOf = ({ number }: Command): number => 100 + number;

function onModel(model: TreeModel, command: Command): void {
  const { child, to, inode, heldBy } = command;
  const now = nowOf(command);
  const make = { inode: inodeOf(command), mode: MODE, sizeBytes: 0, now };
  switch (command.op) {
    case "mknod":
      return model.make(child, { ...make, kind: "file" });
    case "mkdir":
      return model.make(child, { ...make, kind: "directory" });
    case "symlink":
      return model.make(child, { ...make, kind: "symlink", mode: 0o777, sizeBytes: 3 });
    case "link":
      return model.link(child, { inode, now });
    case "unlink":
      return model.unlink(child, { heldBy, now });
    case "rmdir":
      return model.rmdir(child, { heldBy, now });
    case "rename":
    case "noReplace":
      return model.rename(child, to, { noReplace: command.op === "noReplace", heldBy, now });
    case "exchange":
      return model.exchange(child, to, now);
    case "chmod":
      return model.setattr(inode, { mode: command.number, now });
    case "utimes":
      return model.setattr(inode, { modified: { ms: 5, ns: command.number }, now });
    case "setxattr":
      return model.setxattr(inode, { name: "user.a", value: String(command.number), now });
    case "removexattr":
      return model.setxattr(inode, { name: "user.a", value: undefined, now });
    case "commit":
      return model.write(inode, { sizeBytes: sizeOf(command), now });
    case "limit":
      return model.limit(inode, { sizeBytes: BYTES, inodes: INODES_BELOW });
    case "tell":
      return;
    case "release":
      return model.release(inode, SESSIONS[0] as SessionId);
  }
}

function beginOnModel(): TreeModel {
  const now = { ms: 1_000, ns: 0 };
  const model = new TreeModel(now, MODE);
  for (const { inode, parent, name, kind } of BEGIN)
    model.make({ parent: parent as Inode, name }, { inode: inode as Inode, kind, mode: MODE, sizeBytes: 0, now });
  model.link(LINKED.child, { inode: LINKED.inode, now });
  return model;
}

function begin(table: SortedTable): void {
  const now = { ms: 1_000, ns: 0 };
  const programs = BEGIN.map(({ inode, parent, name, kind }) => (tx: Transaction): Program<unknown> => {
    const make = { parent: parent as Inode, name, ...MAKER, now, mode: MODE, nextInode: () => inode as Inode };
    return kind === "file" ? posix.mknod(tx, { ...make, kind }) : posix.mkdir(tx, make);
  });
  const { child, inode } = LINKED;
  const link = (tx: Transaction): Program<unknown> => posix.link(tx, { ...child, inode, now });
  runActors(table, [[(tx) => initialize(tx, 1_000), ...programs, link]], seededRandom(1));
}

async function kvOf(table: SortedTable): Promise<Kv> {
  const kv = createMemoryKv();
  const rows = table.range({ start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 10_000 });
  for (let from = 0; from < rows.length; from += 100) {
    await kv.transact(function* (tx): Program<void> {
      for (const { key, value } of rows.slice(from, from + 100)) tx.put(key, value);
    });
  }
  return kv;
}

/** All inodes, with or without a name. */
function* look(tx: Reader, inodes: Iterable<number>): Program<Record<number, unknown>> {
  const seen: Record<number, unknown> = {};
  for (const each of inodes) {
    const inode = each as Inode;
    const file = yield* findByInode(tx, inode);
    if (file === undefined) continue;
    const { kind, mode, linkCount: links, sizeBytes, modified, changed, version } = file;
    expect(kind === "file" ? (version?.sizeBytes ?? 0) : sizeBytes).toBe(sizeBytes);
    const entries = kind === "directory" ? (yield* posix.readdirplus(tx, { inode, limit: 100 })).entries : [];
    for (const entry of entries) expect(entry.attributes.inode).toBe(entry.inode);
    const extended: string[] = [];
    for (const name of yield* posix.listxattr(tx, inode))
      extended.push(`${name}=${Buffer.from(yield* posix.getxattr(tx, inode, name)).toString()}`);
    const names = entries.map(({ name, inode: led }) => `${name}:${led}`).sort();
    seen[inode] = { kind, mode, links, sizeBytes, modified, changed, names, extended };
  }
  return seen;
}

function shown(model: TreeModel): Record<number, unknown> {
  const seen: Record<number, unknown> = {};
  for (const [inode, node] of model.nodes) {
    const { kind, mode, links, sizeBytes } = node;
    const names = [...node.entries].map(([name, led]) => `${name}:${led}`).sort();
    const extended = [...node.extended].map(([name, value]) => `${name}=${value}`);
    seen[inode] = {
      kind,
      mode,
      links,
      sizeBytes,
      modified: modifiedOf(node),
      changed: changedOf(node),
      names,
      extended,
    };
  }
  return seen;
}

function outcomeOf({ outcome }: Finished<unknown>): string {
  if (!("error" in outcome)) return "ok";
  if (isGfsError(outcome.error)) return outcome.error.meaning.errno;
  throw outcome.error;
}

describe("actors on one tree", () => {
  it("do what they would have done one after the other, and what POSIX says that they do", async () => {
    let reruns = 0;
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(actorsArbitrary, fc.integer(), async (actors, seed) => {
        const table = new SortedTable();
        begin(table);
        const programs = actors.map((commands) =>
          commands.map((command) => (tx: Transaction) => onCatalog(tx, command)),
        );
        const run = runActors(table, programs, seededRandom(seed));
        reruns += run.reruns;
        const model = beginOnModel();
        for (const each of run.finished) {
          const command = actors[each.actor]?.[each.step] as Command;
          let expected = "ok";
          try {
            model.run(() => onModel(model, command));
          } catch (error) {
            if (!(error instanceof Errno)) throw error;
            expected = error.message;
          }
          const outcome = outcomeOf(each);
          expect(`${command.op} ${outcome}`).toBe(`${command.op} ${expected}`);
          outcomes.set(`${command.op} ${outcome}`, (outcomes.get(`${command.op} ${outcome}`) ?? 0) + 1);
        }
        const kv = await kvOf(table);
        expect((await checkCatalog(kv)).faults).toEqual([]);
        expect(
          await kv.view((tx) =>
            look(
              tx,
              Array.from({ length: 40 }, (_, index) => ROOT_INODE + index),
            ),
          ),
        ).toEqual(shown(model));
        for (const [inode, node] of model.nodes) {
          if (node.kind !== "directory" || node.links === 0) continue;
          expect(await kv.view((tx) => usageBelow(tx, inode))).toEqual({ ...model.usage(inode), olderBytes: 0 });
          expect((await kv.view((tx) => readQuota(tx, inode))) !== undefined).toBe(model.quotas.has(inode));
        }
      }),
      { numRuns: process.env["GLOBALFS_LONG"] === "1" ? 20_000 : 1_000 },
    );
    // Without these the test would prove less than it says.
    expect(reruns).toBeGreaterThan(300);
    for (const wanted of [
      "rename ok",
      "rename ENOTEMPTY",
      "rename EINVAL",
      "exchange ok",
      "link ok",
      "commit ok",
      "commit EDQUOT",
      "rename EDQUOT",
    ])
      expect(outcomes.get(wanted) ?? 0, wanted).toBeGreaterThan(0);
  }, 120_000);
});
