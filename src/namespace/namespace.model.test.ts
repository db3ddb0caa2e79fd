/* oxlint-disable vitest/no-standalone-expect -- The commands of the model look at the state after each step. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { isGfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import { createMemoryKv, type Kv, openLmdbKv, type Program } from "../kv/index.ts";
import {
  checkCatalog,
  commitVersion,
  directoryOf,
  findFile,
  findOwner,
  initialize,
  KnownDirectories,
  listPage,
  makeDirectory,
  removeDirectory,
  removeFile,
  rename,
} from "./index.ts";
import { attributesKey } from "./rows.ts";
import { tellUsage } from "./usage.ts";
import { limitAll } from "./testing/version-system.ts";
import { ModelTree, nextTestId, nextTestInode, sizeOfTest, testCommit, testVersion } from "./testing/model.ts";

// Names that share prefixes, sort differently in UTF-8 and UTF-16, and stand on both sides of the slash.
const NAMES = ["a", "a-b", "a0", "b", "ab", "\u{1F600}", "\uE000", "é", "z z", "a.b"];
const pathArbitrary = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"));

type Command =
  | { kind: "put"; path: string }
  | { kind: "remove"; path: string }
  | { kind: "makeDirectory"; path: string }
  | { kind: "removeDirectory"; path: string }
  | { kind: "rename"; from: string; to: string; directory: boolean; overwrite: boolean }
  | { kind: "list"; prefix: string; delimiter: boolean; after: string | undefined; limit: number };

const prefixArbitrary = fc.oneof(
  fc.constant(""),
  pathArbitrary,
  pathArbitrary.map((path) => `${path}/`),
);
const commandArbitrary: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put" as const), path: pathArbitrary }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), path: pathArbitrary }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("makeDirectory" as const), path: pathArbitrary }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("removeDirectory" as const), path: pathArbitrary }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("rename" as const),
      from: pathArbitrary,
      to: pathArbitrary,
      directory: fc.boolean(),
      overwrite: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      prefix: prefixArbitrary,
      delimiter: fc.boolean(),
      after: fc.option(prefixArbitrary, { nil: undefined }),
      limit: fc.integer({ min: 1, max: 5 }),
    }),
  },
);

class System {
  readonly model = new ModelTree();
  readonly directories = new KnownDirectories();
  readonly kv: Kv;

  constructor(kv: Kv) {
    this.kv = kv;
  }

  async apply(command: Command): Promise<void> {
    const { kv, model, directories } = this;
    const maker = { nowMs: 2_000, nextInode: nextTestInode };
    switch (command.kind) {
      case "put": {
        const id = nextTestId();
        const version = testVersion(command.path, { id, key: `objects/${id}`, sizeBytes: sizeOfTest(id) });
        const path = command.path as FilePath;
        const known = directories.of(path);
        const found = await kv.transact(function* (tx) {
          const commit = { ...testCommit(path, maker.nextInode, version), known };
          return yield* directoryOf(tx, (yield* commitVersion(tx, commit)).file);
        });
        directories.learn(path, found);
        model.put(command.path, version.id);
        return;
      }
      case "remove": {
        const removed = await kv.transact((tx) =>
          removeFile(tx, {
            path: command.path as FilePath,
            expect: { kind: "any" },
            nowMs: 3_000,
            tombstoneVersionId: nextTestId(),
            known: directories.of(command.path as FilePath),
          }),
        );
        expect(removed !== undefined).toBe(model.remove(command.path));
        return;
      }
      case "makeDirectory":
        await kv.transact((tx) =>
          makeDirectory(tx, {
            ...maker,
            path: command.path as FilePath,
            mode: 0o755,
            uid: 0,
            gid: 0,
            parents: true,
            existing: "keep",
          }),
        );
        model.directories.add(command.path);
        return;
      case "removeDirectory":
        await kv.transact((tx) =>
          removeDirectory(tx, { path: command.path as FilePath, semantics: "key", nowMs: 3_000 }),
        );
        model.removeDirectory(command.path);
        return;
      case "rename": {
        const { from, to, directory, overwrite } = command;
        const expected = directory ? model.renameDirectory(from, to, overwrite) : model.renameFile(from, to, overwrite);
        const got = await kv
          .transact((tx) => rename(tx, { ...maker, from: from as FilePath, to: to as FilePath, directory, overwrite }))
          .then(
            () => "ok",
            (error: unknown) => (isGfsError(error) ? error.code : String(error)),
          );
        expect(got).toBe(expected);
        return;
      }
      case "list":
        await this.kv.transact(tellUsage);
        await this.checkList(command);
    }
  }

  /** Pages through the whole listing and holds it against the model's. */
  async checkList({ prefix, delimiter, after, limit }: Extract<Command, { kind: "list" }>): Promise<void> {
    const scope = { prefix, ...(delimiter ? { delimiter: "/" as const } : {}) };
    const keys: string[] = [];
    const prefixes: string[] = [];
    let from = after;
    for (;;) {
      const page = await this.kv.view((tx) =>
        listPage(tx, { ...scope, limit, ...(from === undefined ? {} : { after: from }) }),
      );
      expect(page.files.length + page.prefixes.length).toBeLessThanOrEqual(limit);
      for (const { key, file } of page.files) {
        keys.push(key);
        if (!key.endsWith("/")) expect(file.version?.id).toBe(this.model.files.get(key));
      }
      prefixes.push(...page.prefixes);
      if (page.next === undefined) break;
      expect(page.files.length + page.prefixes.length).toBe(limit);
      from = page.next;
    }
    const expected = this.model.list({ prefix, delimiter: delimiter ? "/" : undefined, after });
    expect({ keys, prefixes }).toEqual(expected);
  }
}

async function runModel(open: () => Promise<Kv>, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(commandArbitrary, { minLength: 15, maxLength: 60, size: "max" }), async (commands) => {
      const kv = await open();
      await kv.transact((tx) => initialize(tx, 1_000));
      await limitAll(kv, []);
      const system = new System(kv);
      for (const command of commands) await system.apply(command);
      await system.checkList({ kind: "list", prefix: "", delimiter: false, after: undefined, limit: 3 });
      const report = await checkCatalog(kv);
      expect(report.faults).toEqual([]);
      expect(report.files).toBe(system.model.files.size);
      for (const file of system.model.files.keys()) {
        const found = await kv.view((tx) => findFile(tx, file as FilePath));
        const copy = found?.version?.copies[0];
        if (copy === undefined) throw new Error("a file without a copy");
        expect((await kv.view((tx) => findOwner(tx, copy.site, copy.key)))?.inode).toBe(found?.inode);
      }
      await kv.close();
    }),
    { numRuns: runs },
  );
}

describe("the namespace against a simple tree", () => {
  const made: string[] = [];
  afterAll(async () => {
    for (const directory of made) await rm(directory, { recursive: true });
  });

  it("agrees after any commands, on the memory engine", async () => {
    await runModel(async () => createMemoryKv(), 200);
  }, 180_000);

  it("agrees after any commands, on LMDB", async () => {
    await runModel(async () => {
      const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-model-"));
      made.push(directory);
      return await openLmdbKv({ path: directory });
    }, 10);
  }, 180_000);

  it("finds a row that contradicts another", async () => {
    const kv = createMemoryKv();
    await kv.transact((tx) => initialize(tx, 1_000));
    const { file } = await kv.transact((tx) => commitVersion(tx, testCommit("a/b", nextTestInode, testVersion("a/b"))));
    expect((await checkCatalog(kv)).faults).toEqual([]);
    await kv.transact(function* (tx): Program<void> {
      tx.delete(attributesKey(file.inode));
    });
    const { faults } = await checkCatalog(kv);
    expect(faults.join(" ")).toContain(`inode ${file.inode}, which is missing`);
  });
});
