import { assert } from "vitest";
import { isGfsError } from "../../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../../core/ids.ts";
import { type Kv, prefixRange, type Program } from "../../kv/index.ts";
import {
  changeLabels,
  checkCatalog,
  commitVersion,
  deleteKey,
  directoryOf,
  findTopDirectory,
  findVersion,
  initialize,
  type KnownDirectory,
  KnownDirectories,
  pageVersions,
  posix,
  removeVersion,
  rename,
  tellUsage,
  type VersionPlace,
  writeBucket,
} from "../index.ts";
import { ownerSpace, placeOfOwnerKey } from "../rows.ts";
import { nextTestId, nextTestInode, sizeOfTest, testCommit, testVersion } from "./model.ts";
import { VersionModel } from "./version-model.ts";

export const BUCKETS = ["kept", "locked", "plain"];

export type Command =
  | { kind: "put"; path: string }
  | { kind: "delete"; path: string }
  | { kind: "deleteVersion"; path: string; index: number }
  | { kind: "hold"; path: string; index: number; on: boolean }
  | { kind: "rename"; from: string; to: string; overwrite: boolean }
  | { kind: "renameDirectory"; from: string; to: string; overwrite: boolean }
  | { kind: "versioning"; state: "enabled" | "suspended" }
  | { kind: "list"; prefix: string; delimiter: boolean; limit: number };

/** Quotas that nothing exceeds: the check of the catalog holds against them what lies below. */
export async function limitAll(kv: Kv, tops: readonly string[]): Promise<void> {
  await kv.transact(function* (tx): Program<void> {
    yield* posix.setQuota(tx, ROOT_INODE, { maxInodes: 1_000_000 });
    for (const top of tops) {
      const inode = (yield* findTopDirectory(tx, top)) as Inode;
      yield* posix.setQuota(tx, inode, { maxBytes: 1_000_000_000 });
    }
  });
}

/** The catalog and the model, side by side. */
export class VersionSystem {
  readonly model = new VersionModel();
  readonly directories = new KnownDirectories();
  readonly kv: Kv;

  constructor(kv: Kv) {
    this.kv = kv;
  }

  async prepare(): Promise<void> {
    await this.kv.transact((tx) => initialize(tx, 1_000));
    for (const name of BUCKETS) await this.configure(name, name === "plain" ? "off" : "enabled");
    await limitAll(this.kv, BUCKETS);
  }

  async configure(name: string, versioning: "off" | "enabled" | "suspended"): Promise<void> {
    const settings = { name, createdMs: 1, versioning, objectLock: name === "locked", lifecycle: [] };
    await this.kv.transact((tx) => writeBucket(tx, { settings, documents: {}, nowMs: 1, nextInode: nextTestInode }));
    this.model.versioning.set(name, versioning);
  }

  async run<T>(program: Parameters<Kv["transact"]>[0]): Promise<T | string> {
    return await this.kv.transact(program).then(
      (value) => value as T,
      (error: unknown) => (isGfsError(error) ? error.code : String(error)),
    );
  }

  async apply(command: Command): Promise<void> {
    const { model } = this;
    const maker = { nowMs: 2_000, nextInode: nextTestInode };
    const any = { kind: "any" } as const;
    switch (command.kind) {
      case "put": {
        const id = nextTestId();
        const version = testVersion(command.path, { id, key: `objects/${id}`, sizeBytes: sizeOfTest(id) });
        const path = command.path as FilePath;
        const known = this.directories.of(path);
        const found = await this.run<KnownDirectory | undefined>(function* (tx) {
          const commit = { ...testCommit(path, maker.nextInode, version), known };
          return yield* directoryOf(tx, (yield* commitVersion(tx, commit)).file);
        });
        if (typeof found !== "string") this.directories.learn(path, found);
        model.put(command.path, id);
        return;
      }
      case "delete": {
        const id = nextTestId();
        const path = command.path as FilePath;
        await this.run((tx) =>
          deleteKey(tx, { ...maker, path, expect: any, tombstoneVersionId: id, known: this.directories.of(path) }),
        );
        model.delete(command.path, id);
        return;
      }
      case "deleteVersion": {
        const versionId = model.shownAt(command.path, command.index) ?? "null";
        const path = command.path as FilePath;
        const request = { ...maker, path, versionId, expect: any, tombstoneVersionId: nextTestId() };
        const got = await this.run<object | undefined>((tx) => removeVersion(tx, request));
        const expected = model.deleteVersion(command.path, versionId);
        assert.strictEqual(typeof got === "string" ? got : got === undefined ? "absent" : "ok", expected);
        return;
      }
      case "hold": {
        const versionId = model.shownAt(command.path, command.index) ?? "null";
        const path = command.path as FilePath;
        const got = await this.run<object | undefined>((tx) =>
          changeLabels(tx, { path, versionId, legalHold: command.on, nowMs: 2_000 }),
        );
        const expected = model.hold(command.path, versionId, command.on);
        assert.strictEqual(typeof got === "string" ? got : got === undefined ? "absent" : "ok", expected);
        return;
      }
      case "rename":
      case "renameDirectory": {
        const { from, to, overwrite } = command;
        const directory = command.kind === "renameDirectory";
        const id = nextTestId();
        const request = { ...maker, from: from as FilePath, to: to as FilePath, directory, overwrite };
        const got = await this.run((tx) => rename(tx, { ...request, tombstoneVersionId: id }));
        const expected = directory
          ? model.renameDirectory(from, to, overwrite)
          : model.renameFile({ from, to, overwrite, markerId: id });
        assert.strictEqual(typeof got === "string" ? got : "ok", expected);
        return;
      }
      case "versioning":
        await this.configure("kept", command.state);
        return;
      case "list":
        await this.kv.transact(tellUsage);
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
      assert.isAtMost(page.items.length + page.prefixes.length, limit);
      for (const { key, isLatest, file, row } of page.items) {
        if (key.endsWith("/")) continue;
        const versioned = row?.versioned ?? file?.version?.details?.versioned ?? false;
        const id = row?.versionId ?? file?.version?.id;
        if (row !== undefined && file !== undefined) assert.strictEqual(file.version?.id, row.versionId);
        seen.push(`${key} ${versioned ? id : "null"} ${id} ${file === undefined ? "marker" : "file"} ${isLatest}`);
      }
      prefixes.push(...page.prefixes);
      if (page.next === undefined) break;
      assert.strictEqual(page.items.length + page.prefixes.length, limit);
      after = page.next;
    }
    assert.deepEqual({ seen, prefixes }, this.model.list(prefix, delimiter));
  }

  async verify(): Promise<void> {
    for (const delimiter of [true, false]) await this.checkList({ prefix: "", delimiter, limit: 3 });
    const report = await checkCatalog(this.kv);
    assert.deepEqual(report.faults, []);
    const objects = await this.kv.view(function* (tx): Program<string[]> {
      const rows = yield* tx.range({ ...prefixRange(ownerSpace), limit: 10_000 });
      return rows.map(({ key }) => placeOfOwnerKey(key).objectKey);
    });
    // Whatever was given up is owned by nobody, and whatever is kept has its objects.
    assert.deepEqual(
      objects.sort(),
      this.model
        .versionIds()
        .map((id) => `objects/${id}`)
        .sort(),
    );
    for (const [path, stack] of this.model.stacks) {
      for (const { shown, id, marker } of stack) {
        const found = await this.kv.view((tx) => findVersion(tx, path as FilePath, shown));
        assert.strictEqual(found?.kind === "marker" ? found.row.versionId : found?.file.version?.id, id);
        assert.strictEqual(found?.kind === "marker", marker);
      }
    }
  }
}
