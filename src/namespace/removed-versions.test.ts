import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, SiteName, VersionId } from "../core/ids.ts";
import { createMemoryKv, type Kv } from "../kv/index.ts";
import {
  commitVersion,
  type CommitVersion,
  findTombstone,
  initialize,
  isBuried,
  pageLoneCopies,
  removeVersion,
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
