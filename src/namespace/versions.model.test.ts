import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import { createMemoryKv, type Kv, prefixRange, type Program } from "../kv/index.ts";
import {
  changeLabels,
  checkCatalog,
  commitVersion,
  createInodeAllocator,
  deleteKey,
  findVersion,
  initialize,
  type InodeAllocator,
  pageVersions,
  removeVersion,
  rename,
  type VersionPlace,
  writeBucket,
} from "./index.ts";
import { ownerSpace, placeOfOwnerKey } from "./rows.ts";
import { nextTestId, testCommit, testVersion } from "./testing/model.ts";
import { VersionModel } from "./testing/version-model.ts";

const NAMES = ["a", "a-b", "a.b", "d/x", "d/y", "d-e/x", "e/d/x", "z"];
const BUCKETS = ["kept", "locked", "plain"];
const pathArbitrary = fc
  .tuple(fc.constantFrom(...BUCKETS), fc.constantFrom(...NAMES))
  .map(([bucket, name]) => `${bucket}/${name}`);
const directoryArbitrary = fc
  .tuple(fc.constantFrom(...BUCKETS), fc.constantFrom("d", "d-e", "e", "e/d", "new"))
  .map(([bucket, name]) => `${bucket}/${name}`);

type Command =
  | { kind: "put"; path: string }
  | { kind: "delete"; path: string }
  | { kind: "deleteVersion"; path: string; index: number }
  | { kind: "hold"; path: string; index: number; on: boolean }
  | { kind: "rename"; from: string; to: string; overwrite: boolean }
  | { kind: "renameDirectory"; from: string; to: string; overwrite: boolean }
  | { kind: "versioning"; state: "enabled" | "suspended" }
  | { kind: "list"; prefix: string; delimiter: boolean; limit: number };

const commandArbitrary: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), path: pathArbitrary }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), path: pathArbitrary }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("deleteVersion" as const), path: pathArbitrary, index: fc.nat(3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("hold" as const),
      path: pathArbitrary,
      index: fc.nat(3),
      on: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("rename" as const),
      from: pathArbitrary,
      to: pathArbitrary,
      overwrite: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("renameDirectory" as const),
      from: directoryArbitrary,
      to: directoryArbitrary,
      overwrite: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("versioning" as const),
      state: fc.constantFrom("enabled" as const, "suspended" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      prefix: fc.constantFrom("", "kept/", "kept/d", "kept/d/", "locked/", "plain/a"),
      delimiter: fc.boolean(),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

class System {
  readonly model = new VersionModel();
  readonly kv: Kv;
  readonly inodes: InodeAllocator;

  constructor(kv: Kv) {
    this.kv = kv;
    this.inodes = createInodeAllocator(kv);
  }

  async prepare(): Promise<void> {
    await this.inodes.ensure(1_000);
    await this.kv.transact((tx) => initialize(tx, 1_000));
    for (const name of BUCKETS) await this.configure(name, name === "plain" ? "off" : "enabled");
  }

  async configure(name: string, versioning: "off" | "enabled" | "suspended"): Promise<void> {
    const settings = { name, createdMs: 1, versioning, objectLock: name === "locked", lifecycle: [] };
    const nextInode = (): ReturnType<InodeAllocator["next"]> => this.inodes.next();
    await this.kv.transact((tx) => writeBucket(tx, { settings, documents: {}, nowMs: 1, nextInode }));
    this.model.versioning.set(name, versioning);
  }

  async #run<T>(program: Parameters<Kv["transact"]>[0]): Promise<T | string> {
    await this.inodes.ensure(1_000);
    return await this.kv.transact(program).then(
      (value) => value as T,
      (error: unknown) => (isGfsError(error) ? error.code : String(error)),
    );
  }

  async apply(command: Command): Promise<void> {
    const { model } = this;
    const maker = { nowMs: 2_000, nextInode: () => this.inodes.next() };
    const any = { kind: "any" } as const;
    switch (command.kind) {
      case "put": {
        const id = nextTestId();
        const version = testVersion(command.path, { id, key: `objects/${id}` });
        await this.#run((tx) => commitVersion(tx, testCommit(command.path, maker.nextInode, version)));
        model.put(command.path, id);
        return;
      }
      case "delete": {
        const id = nextTestId();
        const path = command.path as FilePath;
        await this.#run((tx) => deleteKey(tx, { path, expect: any, nowMs: 2_000, tombstoneVersionId: id }));
        model.delete(command.path, id);
        return;
      }
      case "deleteVersion": {
        const versionId = model.shownAt(command.path, command.index) ?? "null";
        const path = command.path as FilePath;
        const request = { ...maker, path, versionId, expect: any, tombstoneVersionId: nextTestId() };
        const got = await this.#run<object | undefined>((tx) => removeVersion(tx, request));
        const expected = model.deleteVersion(command.path, versionId);
        expect(typeof got === "string" ? got : got === undefined ? "absent" : "ok").toBe(expected);
        return;
      }
      case "hold": {
        const versionId = model.shownAt(command.path, command.index) ?? "null";
        const path = command.path as FilePath;
        const got = await this.#run<object | undefined>((tx) =>
          changeLabels(tx, { path, versionId, legalHold: command.on, nowMs: 2_000 }),
        );
        const expected = model.hold(command.path, versionId, command.on);
        expect(typeof got === "string" ? got : got === undefined ? "absent" : "ok").toBe(expected);
        return;
      }
      case "rename":
      case "renameDirectory": {
        const { from, to, overwrite } = command;
        const directory = command.kind === "renameDirectory";
        const id = nextTestId();
        const request = { ...maker, from: from as FilePath, to: to as FilePath, directory, overwrite };
        const got = await this.#run((tx) => rename(tx, { ...request, tombstoneVersionId: id }));
        const expected = directory
          ? model.renameDirectory(from, to, overwrite)
          : model.renameFile({ from, to, overwrite, markerId: id });
        expect(typeof got === "string" ? got : "ok").toBe(expected);
        return;
      }
      case "versioning":
        await this.configure("kept", command.state);
        return;
      case "list":
        await this.checkList(command);
    }
  }

  async checkList({ prefix, delimiter, limit }: { prefix: string; delimiter: boolean; limit: number }): Promise<void> {
    const scope = { prefix, ...(delimiter ? { delimiter: "/" as const } : {}) };
    const seen: string[] = [];
    const prefixes: string[] = [];
    let after: VersionPlace | undefined;
    for (;;) {
      const from = after;
      const page = await this.kv.view((tx) =>
        pageVersions(tx, { ...scope, limit, ...(from === undefined ? {} : { after: from }) }),
      );
      expect(page.items.length + page.prefixes.length).toBeLessThanOrEqual(limit);
      for (const { key, isLatest, file, row } of page.items) {
        if (key.endsWith("/")) continue;
        const versioned = row?.versioned ?? file?.version?.details?.versioned ?? false;
        const id = row?.versionId ?? file?.version?.id;
        if (row !== undefined && file !== undefined) expect(file.version?.id).toBe(row.versionId);
        seen.push(`${key} ${versioned ? id : "null"} ${id} ${file === undefined ? "marker" : "file"} ${isLatest}`);
      }
      prefixes.push(...page.prefixes);
      if (page.next === undefined) break;
      expect(page.items.length + page.prefixes.length).toBe(limit);
      after = page.next;
    }
    expect({ seen, prefixes }).toEqual(this.model.list(prefix, delimiter));
  }

  async verify(): Promise<void> {
    for (const delimiter of [true, false]) await this.checkList({ prefix: "", delimiter, limit: 3 });
    const report = await checkCatalog(this.kv);
    expect(report.faults).toEqual([]);
    const objects = await this.kv.view(function* (tx): Program<string[]> {
      const rows = yield* tx.range({ ...prefixRange(ownerSpace), limit: 10_000 });
      return rows.map(({ key }) => placeOfOwnerKey(key).objectKey);
    });
    // Whatever was given up is owned by nobody, and whatever is kept has its objects.
    expect(objects.sort()).toEqual(
      this.model
        .versionIds()
        .map((id) => `objects/${id}`)
        .sort(),
    );
    for (const [path, stack] of this.model.stacks) {
      for (const { shown, id, marker } of stack) {
        const found = await this.kv.view((tx) => findVersion(tx, path as FilePath, shown));
        expect(found?.kind === "marker" ? found.row.versionId : found?.file.version?.id).toBe(id);
        expect(found?.kind === "marker").toBe(marker);
      }
    }
  }
}

describe("versions of keys against a simple stack for each", () => {
  it("agree after any commands", async () => {
    const runs = process.env["GLOBALFS_LONG"] === "1" ? 3_000 : 200;
    await fc.assert(
      fc.asyncProperty(fc.array(commandArbitrary, { minLength: 20, maxLength: 80, size: "max" }), async (commands) => {
        const system = new System(createMemoryKv());
        await system.prepare();
        for (const command of commands) await system.apply(command);
        await system.verify();
        await system.kv.close();
      }),
      { numRuns: runs },
    );
  }, 300_000);
});
