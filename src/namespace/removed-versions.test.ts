import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, SiteName, VersionId } from "../core/ids.ts";
import { createMemoryKv, type Kv } from "../kv/index.ts";
import {
  commitVersion,
  type CommitVersion,
  findTombstone,
  initialize,
  isBuried,
  isSamePlace,
  isSameState,
  type KeyState,
  changeLabels,
  pageLoneCopies,
  readKeyState,
  removeFile,
  removeVersion,
  rename,
  setCopy,
  writeBucket,
} from "./index.ts";
import { nextTestId, nextTestInode, testCommit, testVersion } from "./testing/model.ts";

const PATH = "b/x" as FilePath;
let kv: Kv;
const nextInode = nextTestInode;

beforeEach(async () => {
  kv = createMemoryKv();
  await kv.transact((tx) => initialize(tx, 1_000));
});

const put = async (path: string, options: Parameters<typeof testVersion>[1] & Partial<CommitVersion> = {}) =>
  await kv.transact((tx) =>
    commitVersion(tx, { ...testCommit(path, nextInode, testVersion(path, options)), ...options }),
  );
const removeShown = async (versionId: string) =>
  await kv.transact((tx) =>
    removeVersion(tx, {
      path: PATH,
      versionId,
      expect: { kind: "any" },
      nowMs: 5_000,
      tombstoneVersionId: nextTestId(),
      nextInode,
    }),
  );
const foreign = { key: PATH, sizeBytes: 1, modifiedMs: 9_000, metadata: {} };

describe("a version that was removed for good", () => {
  beforeEach(async () => {
    const settings = { name: "b", createdMs: 1, versioning: "enabled" as const, objectLock: false, lifecycle: [] };
    await kv.transact((tx) => writeBucket(tx, { settings, documents: {}, nowMs: 1, nextInode }));
  });

  it("is recognised by its content, however new it looks, although its object never had the key's name", async () => {
    const { file } = await put(PATH, { key: ".globalfs/versions/1" });
    const version = file.version;
    const removed = await removeShown(version?.id as string);
    expect(removed?.orphans.map(({ key }) => key)).toEqual([".globalfs/versions/1"]);
    const tombstone = await kv.view((tx) => findTombstone(tx, PATH));
    expect(tombstone?.etags).toEqual(expect.arrayContaining([version?.etag, version?.copies[0]?.etag]));
    expect(isBuried(tombstone, { ...foreign, etag: version?.etag as string })).toBe(true);
    expect(isBuried(tombstone, { ...foreign, etag: "another" })).toBe(false);
    expect((tombstone?.versionId as string) > (version?.id as string)).toBe(true);
  });

  it("is remembered with the others when an older one shows again", async () => {
    const older = await put(PATH, { key: ".globalfs/versions/1" });
    const newer = await put(PATH, { key: ".globalfs/versions/2" });
    const removed = await removeShown(newer.file.version?.id as string);
    expect(removed?.promoted?.file.version?.id).toBe(older.file.version?.id);
    const tombstone = await kv.view((tx) => findTombstone(tx, PATH));
    expect(tombstone?.etags).toContain(newer.file.version?.etag);
    expect(tombstone?.etags).not.toContain(older.file.version?.etag);
  });
});

describe("the state of a key", () => {
  const look = async (): Promise<KeyState> => await kv.view((tx) => readKeyState(tx, PATH));
  const moment = { nowMs: 6_000, tombstoneVersionId: "7ZZZZZZZZZZZZZZZZZZZZZZZZ0" as VersionId };

  it("stays while jobs bring copies, and while others come into the directory", async () => {
    const { file } = await put(PATH);
    const before = await look();
    const copy = { site: "cloud" as SiteName, key: PATH, state: "present" as const, etag: "e", changedMs: 9 };
    const versionId = file.version?.id as VersionId;
    await kv.transact((tx) => setCopy(tx, { inode: file.inode, versionId, copy, nowMs: 9 }));
    await put("b/y");
    expect(isSameState(before, await look())).toBe(true);
    expect(before.file?.versionId).toBe(versionId);
  });

  it("of a key that never was stays when its directory comes to be", async () => {
    const before = await look();
    await put("b/y");
    const after = await look();
    expect([before.directory, after.directory !== undefined]).toEqual([undefined, true]);
    expect(isSameState(before, after)).toBe(true);
  });

  it.each([
    ["a write", async () => void (await put(PATH))],
    [
      "a delete",
      async () => {
        await put("b/y");
        await kv.transact((tx) => removeFile(tx, { path: PATH, expect: { kind: "any" }, ...moment }));
      },
    ],
    [
      "a change of labels",
      async () => void (await kv.transact((tx) => changeLabels(tx, { path: PATH, nowMs: 9, tags: { a: "b" } }))),
    ],
    [
      "a rename away and back",
      async () => {
        for (const [from, to] of [
          [PATH, "b/z"],
          ["b/z", PATH],
        ] as [FilePath, FilePath][])
          await kv.transact((tx) => rename(tx, { from, to, directory: false, overwrite: false, nextInode, ...moment }));
      },
    ],
    [
      "a rename of the directory",
      async () => {
        await kv.transact((tx) =>
          rename(tx, {
            from: "b" as FilePath,
            to: "c" as FilePath,
            directory: true,
            overwrite: false,
            nextInode,
            ...moment,
          }),
        );
        await put("b/y");
      },
    ],
  ])("is another one after %s", async (_what, change) => {
    await put(PATH);
    const before = await look();
    await change();
    expect(isSameState(before, await look())).toBe(false);
  });

  it("is in the same place after a write, and not after a delete", async () => {
    await put(PATH);
    const before = await look();
    await put(PATH);
    expect(isSamePlace(before, await look())).toBe(true);
    await kv.transact((tx) => removeFile(tx, { path: PATH, expect: { kind: "any" }, ...moment }));
    expect(isSamePlace(before, await look())).toBe(false);
  });
});

describe("what only one site has", () => {
  const count = async (others: readonly string[], limit = 2): Promise<number> => {
    let found = 0;
    let after: Uint8Array | undefined;
    do {
      const query = { site: "local" as SiteName, others: new Set(others as SiteName[]), limit };
      const page = await kv.view((tx) => pageLoneCopies(tx, { ...query, ...(after === undefined ? {} : { after }) }));
      found += page.count;
      after = page.next;
    } while (after !== undefined);
    return found;
  };

  it("is counted over pages, but not what another site has as well, or what is only on its way there", async () => {
    const bring = async (path: string, state: "present" | "pending"): Promise<void> => {
      const { file } = await put(path);
      const copy = { site: "cloud" as SiteName, key: path, state, changedMs: 9 };
      const versionId = file.version?.id as VersionId;
      await kv.transact((tx) => setCopy(tx, { inode: file.inode, versionId, copy, nowMs: 9 }));
    };
    for (let index = 0; index < 4; index++) await put(`b/${index}`);
    await bring("b/shared", "present");
    await bring("b/coming", "pending");
    await put("b/elsewhere", { site: "cloud" });
    expect(await count(["cloud"])).toBe(5);
    expect(await count([])).toBe(6);
    expect(await count(["cloud"], 100)).toBe(5);
  });
});
