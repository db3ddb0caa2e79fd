import { beforeEach, describe, expect, it } from "vitest";
import type { Inode, SiteName, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import {
  type Adopted,
  adoptForeign,
  type AdoptForeign,
  appendMove,
  CHECKSUM_NAME,
  encodeChecksum,
  encodeHeaders,
  etagOf,
  findOwner,
  findTombstone,
  findHistory,
  HEADERS_NAME,
  OWNER_NAME,
  readDescribed,
  sameContent,
  shownEtag,
  userMetadata,
  versionOf,
} from "./index.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import { nextTestId } from "./testing/model.ts";
import type { ForeignObject } from "./types.ts";

const LOCAL = "local" as SiteName;
const CLOUD = "cloud" as SiteName;
const FRESH = "01FRESH0000000000000000000" as VersionId;
const WRITTEN = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const object = (key: string, more: Partial<ForeignObject> = {}): ForeignObject => ({
  key,
  sizeBytes: 3,
  etag: "e",
  modifiedMs: 10,
  metadata: {},
  ...more,
});

describe("an object that another tool wrote", () => {
  it("becomes a version with all that the site says of it", () => {
    const found = object("a", { sha256: "ab".repeat(32), contentType: "text/plain", metadata: { color: "red" } });
    expect(versionOf(found, [], FRESH)).toEqual({
      id: FRESH,
      sizeBytes: 3,
      etag: `${"ab".repeat(16)}-1`,
      metadata: { color: "red" },
      createdMs: 10,
      copies: [],
      sha256: "ab".repeat(32),
      contentType: "text/plain",
    });
    expect(versionOf(object("a"), [], FRESH)).toEqual({
      id: FRESH,
      sizeBytes: 3,
      etag: "e",
      metadata: {},
      createdMs: 10,
      copies: [],
    });
  });

  it("that GlobalFS wrote once keeps its version's id and what was said of it", () => {
    const described = { "globalfs-version": WRITTEN, [OWNER_NAME]: "al%20ice", "globalfs-etag": "shown", a: "b" };
    const version = versionOf(object("a", { metadata: described, sha256: "ab".repeat(32) }), [], FRESH);
    expect(version).toMatchObject({ id: WRITTEN, etag: "shown", metadata: { a: "b" }, details: { owner: "al ice" } });
    const unwritten = versionOf(object("a", { metadata: { [OWNER_NAME]: "alice" } }), [], FRESH);
    expect(unwritten).not.toHaveProperty("details");
    for (const wrong of [WRITTEN.slice(1), `8${WRITTEN.slice(1)}`, WRITTEN.toLowerCase(), `${WRITTEN}A`])
      expect(versionOf(object("a", { metadata: { "globalfs-version": wrong } }), [], FRESH).id).toBe(FRESH);
  });

  it("shows the ETag it was written with, or one that no client takes for an MD5 where only its SHA-256 is known", () => {
    expect(etagOf("0123456789abcdef".repeat(4))).toBe("0123456789abcdef0123456789abcdef-1");
    expect(shownEtag(object("a"))).toBe("e");
    expect(shownEtag(object("a", { sha256: "cd".repeat(32) }))).toBe(`${"cd".repeat(16)}-1`);
    expect(shownEtag(object("a", { sha256: "cd".repeat(32), metadata: { "globalfs-etag": "x" } }))).toBe("x");
  });

  it("has no metadata that GlobalFS keeps for itself", () => {
    expect(userMetadata({ a: "b" })).toEqual({ a: "b" });
    expect(userMetadata({ "globalfs-version": "v", a: "b", "globalfs-x": "y", "my-globalfs-": "z" })).toEqual({
      a: "b",
      "my-globalfs-": "z",
    });
  });

  it("is the same as another by its sum, else by its ETag, and never at another size", () => {
    const one = object("a", { sha256: "1" });
    expect(sameContent(one, one)).toBe(true);
    expect(sameContent(one, object("b", { sha256: "1", etag: "x" }))).toBe(true);
    expect(sameContent(one, object("b", { sha256: "2" }))).toBe(false);
    expect(sameContent(one, object("b"))).toBe(false);
    expect(sameContent(object("a"), object("b"))).toBe(true);
    expect(sameContent(object("a"), object("b", { etag: "x" }))).toBe(false);
    expect(sameContent(object("a"), object("b", { sizeBytes: 4 }))).toBe(false);
    expect(sameContent(one, object("b", { sha256: "1", sizeBytes: 4 }))).toBe(false);
  });
});

describe("what is written beside an object", () => {
  it("is read back", () => {
    const contentHeaders = {
      cacheControl: "a=b&c",
      contentDisposition: "é",
      contentEncoding: "gzip",
      contentLanguage: "de",
      expires: "x",
      websiteRedirect: "/y",
    };
    expect(readDescribed({ [HEADERS_NAME]: encodeHeaders(contentHeaders) })).toEqual({ contentHeaders });
    expect(readDescribed({ [HEADERS_NAME]: encodeHeaders({ expires: "" }) })).toEqual({
      contentHeaders: { expires: "" },
    });
    for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const) {
      for (const kind of ["full", "composite"] as const) {
        const checksum = { algorithm, kind, value: "AA==-2" };
        expect(readDescribed({ [CHECKSUM_NAME]: encodeChecksum(checksum) })).toEqual({ checksum });
      }
    }
    expect(readDescribed({ [OWNER_NAME]: "a%2Fb" })).toEqual({ owner: "a/b" });
  });

  it("is left out where it cannot be read", () => {
    const odd = [
      {},
      { [OWNER_NAME]: "" },
      { [OWNER_NAME]: "%" },
      { [HEADERS_NAME]: "" },
      { [HEADERS_NAME]: "unknown=1" },
      ...["", "MD5:full:x", "CRC32:half:x", "CRC32:full", "CRC32"].map((text) => ({ [CHECKSUM_NAME]: text })),
    ];
    for (const metadata of odd) expect(readDescribed(metadata)).toBeUndefined();
    expect(readDescribed({ [OWNER_NAME]: "%", [CHECKSUM_NAME]: "SHA1:full:x" })).toEqual({
      checksum: { algorithm: "SHA1", kind: "full", value: "x" },
    });
  });
});

describe("adopting", () => {
  let catalog: TestCatalog;
  beforeEach(async () => {
    catalog = await TestCatalog.open();
  });
  const adopt = async (objects: readonly ForeignObject[], more: Partial<AdoptForeign> = {}): Promise<Adopted> =>
    await catalog.run((tx) =>
      adoptForeign(tx, {
        site: LOCAL,
        objects,
        nowMs: 50,
        nextInode: catalog.nextInode,
        nextVersionId: nextTestId,
        ...more,
      }),
    );

  it("makes a file of an object, which owns it and is told of", async () => {
    const told = await catalog.told(async () => await adopt([object("d/a")]));
    const file = await catalog.file("d/a");
    expect(file).toEqual({
      inode: file?.inode,
      kind: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      linkCount: 1,
      sizeBytes: 3,
      accessed: momentOf(10),
      modified: momentOf(10),
      changed: momentOf(50),
      created: momentOf(50),
      parent: { inode: (await catalog.directory("d"))?.inode, name: "a" },
      version: {
        id: file?.version?.id,
        sizeBytes: 3,
        etag: "e",
        metadata: {},
        createdMs: 10,
        copies: [{ site: LOCAL, key: "d/a", state: "foreign", etag: "e", changedMs: 50 }],
      },
    });
    const versionId = file?.version?.id as VersionId;
    expect(await catalog.view((tx) => findOwner(tx, LOCAL, "d/a"))).toEqual({ inode: file?.inode, versionId });
    expect(told).toEqual([{ kind: "created", path: "d/a", inode: file?.inode, versionId, atMs: 50 }]);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("leaves what lies in GlobalFS's own corner, what is owned, and what was deleted", async () => {
    await catalog.put("owned");
    await catalog.remove("gone");
    const objects = [object(".globalfs/x"), object("owned", { etag: "other" }), object("gone"), object("bad//key")];
    expect(await adopt(objects)).toEqual({ seen: 4, adopted: 0, skipped: 3, refused: ["bad//key"] });
    expect(await adopt([object("gone", { modifiedMs: 5_001 })])).toMatchObject({ adopted: 1 });
  });

  it("takes the object of a file that was renamed away for nothing new, whatever it holds by now", async () => {
    await catalog.put("a");
    await catalog.move("a", "b");
    expect(await adopt([object("a", { modifiedMs: 99_000 })])).toMatchObject({ adopted: 0, skipped: 1 });
    expect(await catalog.file("a")).toBeUndefined();
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("makes a directory of a marker, once, and one that was implicit becomes somebody's", async () => {
    await catalog.put("d/a");
    expect(await adopt([object("d/"), object("e/f/")])).toMatchObject({ adopted: 2 });
    expect(await catalog.directory("d")).toMatchObject({ mode: 0o755, uid: 0, gid: 0, created: momentOf(2_000) });
    expect(await catalog.directory("d")).not.toHaveProperty("implicit");
    expect(await catalog.directory("e/f")).not.toHaveProperty("implicit");
    expect(await catalog.directory("e")).toMatchObject({ implicit: true });
    expect(await adopt([object("d/"), object("e/f/")])).toMatchObject({ adopted: 0, skipped: 2 });
  });

  it("adds a copy where the content is the same by its sum or by an ETag, and where there is none yet", async () => {
    const sha256 = "ab".repeat(32);
    await adopt([object("sum", { sha256 }), object("etag"), object("size"), object("other"), object("twice")]);
    const outcome = await adopt(
      [
        object("sum", { sha256, etag: "named otherwise" }),
        object("etag"),
        object("size", { sizeBytes: 4 }),
        object("other", { etag: "x" }),
      ],
      { site: CLOUD, nowMs: 60 },
    );
    expect(outcome).toMatchObject({ adopted: 2, skipped: 2 });
    expect((await catalog.file("sum"))?.version?.copies[1]).toEqual({
      site: CLOUD,
      key: "sum",
      state: "foreign",
      etag: "named otherwise",
      changedMs: 60,
    });
    const { inode, version } = (await catalog.file("etag")) as { inode: number; version: { id: string } };
    expect(await catalog.view((tx) => findOwner(tx, CLOUD, "etag"))).toEqual({ inode, versionId: version.id });
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("adds no copy for the ETag of one that is stale, and no second one at a site", async () => {
    const { file } = await catalog.put("b", { key: "away" });
    const etag = file.version?.copies[0]?.etag as string;
    expect(await adopt([object("b", { etag })])).toMatchObject({ adopted: 0 });
    await catalog.put("a", {
      version: {
        id: nextTestId(),
        sizeBytes: 3,
        etag: "shown",
        metadata: {},
        createdMs: 1,
        copies: [{ site: LOCAL, key: "a", state: "stale", etag: "e", changedMs: 1 }],
      },
    });
    expect(await adopt([object("a")], { site: CLOUD })).toMatchObject({ adopted: 0 });
  });

  it("buries an object that a file hides only when its directory was renamed since it was put there", async () => {
    await catalog.put("b/x");
    const look = async (): Promise<unknown> => await catalog.view((tx) => findTombstone(tx, at("a/x")));
    const move = { from: at("a"), to: at("b"), inode: 7 as Inode, atMs: 1_000, sites: { [CLOUD]: "" } };
    await catalog.run((tx) => appendMove(tx, move));
    const nextVersionId = (): VersionId => FRESH;
    const onlyMoved = true;
    await adopt([object("a/x", { modifiedMs: 1_001 })], { site: CLOUD, nextVersionId, onlyMoved });
    await adopt([object("a/x", { modifiedMs: 1_000 })], { site: LOCAL, nextVersionId, onlyMoved });
    expect(await look()).toBeUndefined();
    await adopt([object("a/x", { modifiedMs: 1_000 })], { site: CLOUD, nextVersionId, onlyMoved });
    expect(await look()).toMatchObject({ path: "a/x", deletedMs: 50, versionId: FRESH, etags: ["e"] });
  });

  it("makes the null version in a bucket that keeps versions, and one with an id where the key has its null", async () => {
    await catalog.writeBucket("b");
    await adopt([object("b/x")]);
    expect((await catalog.file("b/x"))?.version).not.toHaveProperty("details");
    await catalog.deleteKey("b/x");
    await adopt([object("b/x", { key: "b/x", modifiedMs: 9_000, etag: "new" })], { site: CLOUD });
    expect((await catalog.file("b/x"))?.version?.details).toEqual({ versioned: true });
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("goes as far as the transaction has room, and says how far that was", async () => {
    const objects = Array.from({ length: 60 }, (_, index) => object(`d${index % 3}/deep/x${index}`));
    let [adopted, commits] = [0, 0];
    for (let left = objects; left.length > 0;) {
      const outcome = await adopt(left);
      expect(outcome).toMatchObject({ adopted: outcome.seen, skipped: 0, refused: [] });
      adopted += outcome.adopted;
      commits += 1;
      left = left.slice(outcome.seen);
    }
    expect(adopted).toBe(60);
    expect(commits).toBeGreaterThan(1);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("takes the bytes of an older version for nothing new", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/x", { id: WRITTEN as VersionId });
    await catalog.deleteKey("b/x", { tombstoneVersionId: "00" as VersionId });
    expect(await catalog.view((tx) => findHistory(tx, "b/x", WRITTEN))).toBeDefined();
    const late = object("b/x", { modifiedMs: 9_000, metadata: { "globalfs-version": WRITTEN } });
    expect(await adopt([late])).toMatchObject({ adopted: 0, skipped: 1 });
    expect(await catalog.file("b/x")).toBeUndefined();
  });
});
