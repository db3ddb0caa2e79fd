import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE, type SiteName, type VersionId } from "../../core/ids.ts";
import { encodeBucket } from "../bucket-codec.ts";
import { encodeKey, type Key, type KvEntry, prefixRange, type Program, tail } from "../../kv/index.ts";
import { decodeAttributes, encodeAttributes, encodeMoment } from "../attributes-codec.ts";
import { encodeContent } from "../content-codec.ts";
import {
  attributesKey,
  bucketDocumentKey,
  bucketKey,
  contentKey,
  encodeEntry,
  encodeOwner,
  entryKey,
  nameKey,
  ownerKey,
  touchedKey,
} from "../rows.ts";
import { extendedKey } from "../extended-rows.ts";
import { link } from "../links.ts";
import { begunKey, endedTimeKey } from "../upload-due.ts";
import { type PartRecord, putPart, putUpload, type UploadRecord } from "../uploads.ts";
import { encodeVersionParts, partsOfVersionKey } from "../version-parts.ts";
import * as posix from "../posix/index.ts";
import { writeQuota } from "../quota-rows.ts";
import { at, TestCatalog } from "../testing/catalog.ts";
import { dropUsage, readUsage, type UsageRow, writeUsage } from "../usage-rows.ts";
import type { FileAttributes, FileRecord, FileVersion } from "../types.ts";

let catalog: TestCatalog;
let file: FileRecord;
let bucket: Inode;

beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
  ({ file } = await catalog.put("b/x"));
  bucket = (await catalog.directory("b"))?.inode as Inode;
});

/** What is damaged counts otherwise, too, and that is said of the directory that it lies in. */
const faults = async (): Promise<readonly string[]> =>
  (await catalog.check()).faults.filter((each) => !each.includes(" lie below it"));
const rewrite = async (inode: Inode, change: (file: FileAttributes) => FileAttributes): Promise<void> => {
  const row = await catalog.view((tx) => tx.get(attributesKey(inode)));
  await catalog.write([[attributesKey(inode), encodeAttributes(change(decodeAttributes(inode, row as Uint8Array)))]]);
};
const fileEntry = (inode: number): Uint8Array => encodeEntry({ inode: inode as Inode, kind: "file" });

describe("the check of the catalog", () => {
  it("counts what there is, and finds nothing wrong", async () => {
    await catalog.putApart("b/x");
    await catalog.putApart("d/e/y");
    await catalog.putApart("d/z");
    await catalog.deleteKey("b/x");
    expect(await catalog.check()).toEqual({
      files: 2,
      directories: 4,
      entries: 5,
      owners: 4,
      olderVersions: 2,
      faults: [],
    });
  });

  it("finds an entry that leads nowhere", async () => {
    await catalog.write([[entryKey(bucket, "ghost"), fileEntry(999_000_000_000)]]);
    expect(await faults()).toEqual([`Entry ghost in ${bucket} leads to inode 999000000000, which is missing.`]);
  });

  it("finds a file under a directory's name, and a directory under a file's", async () => {
    const directory = (await catalog.makeDirectory("b/d")).inode;
    await catalog.write([
      [entryKey(bucket, "d/"), fileEntry(file.inode)],
      [entryKey(bucket, "x"), fileEntry(directory)],
    ]);
    expect(await faults()).toEqual([
      `Entry d/ in ${bucket} leads to a file.`,
      `Directory ${file.inode} hangs at d/ in ${bucket} and says otherwise.`,
      `Entry x in ${bucket} leads to a directory.`,
      `Entry x in ${bucket} says it leads to a file, and inode ${directory} is a directory.`,
      `Directory ${bucket} says it has 3 links, and has 2.`,
      `Inode ${file.inode} hangs elsewhere than it says.`,
      `Directory ${directory} hangs elsewhere than it says.`,
    ]);
  });

  it("finds a directory that hangs elsewhere than it says", async () => {
    const directory = (await catalog.makeDirectory("b/d")).inode;
    const says = `Directory ${directory} hangs at d/ in ${bucket} and says otherwise.`;
    await rewrite(directory, (record) => ({ ...record, parent: { inode: ROOT_INODE, name: "d" } }));
    const notThere = `Directory ${directory} hangs elsewhere than it says.`;
    expect(await faults()).toEqual([says, notThere]);
    await rewrite(directory, (record) => ({ ...record, parent: { inode: bucket, name: "e" } }));
    expect(await faults()).toEqual([says, notThere]);
  });

  it("finds an entry that hangs in no directory", async () => {
    await catalog.write([
      [entryKey(file.inode, "below"), fileEntry(file.inode)],
      [entryKey(998_000_000_000 as Inode, "alone"), fileEntry(file.inode)],
    ]);
    await rewrite(file.inode, (record) => ({ ...record, linkCount: 3 }));
    await catalog.write(
      [
        { parent: bucket, name: "x" },
        { parent: file.inode, name: "below" },
        { parent: 998_000_000_000 as Inode, name: "alone" },
      ].map((place) => [nameKey(file.inode, place), Buffer.alloc(0)]),
    );
    expect(await faults()).toEqual([
      `Entry below hangs in inode ${file.inode}, which is no directory.`,
      `Entry alone hangs in inode 998000000000, which is no directory.`,
    ]);
  });

  it("finds a number of names that is wrong", async () => {
    await rewrite(file.inode, (record) => ({ ...record, linkCount: 2 }));
    expect(await faults()).toEqual([
      `Inode ${file.inode} has several names, and no row for x in ${bucket}.`,
      `Inode ${file.inode} says it has 2 names, and has rows for 0.`,
    ]);
    await catalog.write([[entryKey(bucket, "x"), undefined]]);
    expect(await faults()).toEqual([
      `Inode ${file.inode} hangs elsewhere than it says.`,
      `Inode ${file.inode} says it has 2 names, and has rows for 0.`,
    ]);
  });

  it("finds a file that hangs elsewhere than it says", async () => {
    await rewrite(file.inode, (record) => ({ ...record, parent: { inode: bucket, name: "y" } }));
    const both = [
      `Entry x in ${bucket} leads to inode ${file.inode}, which hangs elsewhere.`,
      `Inode ${file.inode} hangs elsewhere than it says.`,
    ];
    expect(await faults()).toEqual(both);
    await rewrite(file.inode, (record) => {
      const { parent: _, ...unnamed } = record;
      return unnamed;
    });
    expect(await faults()).toEqual(both);
  });

  it("finds a row of a name of what has one name, and of one that leads elsewhere", async () => {
    await catalog.write([[nameKey(file.inode, { parent: bucket, name: "x" }), Buffer.alloc(0)]]);
    const says = (name: string): string =>
      `There is a row for ${name} in ${bucket} as one of several names of inode ${file.inode}.`;
    expect(await faults()).toEqual([says("x")]);
    await catalog.run((tx) => link(tx, { from: at("b/x"), to: at("b/y"), nowMs: 1, nextInode: catalog.nextInode }));
    expect(await faults()).toEqual([]);
    await catalog.write([[nameKey(file.inode, { parent: bucket, name: "z" }), Buffer.alloc(0)]]);
    expect(await faults()).toEqual([`Inode ${file.inode} says it has 2 names, and has rows for 3.`, says("z")]);
  });

  it("finds orphans that have a name, are missing, or are known to one side only", async () => {
    const [byInode, bySession] = [encodeKey("io", file.inode, tail("s")), encodeKey("os", "s", file.inode)];
    const nothing = Buffer.alloc(0);
    await catalog.write([
      [byInode, nothing],
      [bySession, nothing],
    ]);
    const named = `Inode ${file.inode} is an orphan, and has 1 names.`;
    expect(await faults()).toEqual([named]);
    await catalog.write([[bySession, undefined]]);
    expect(await faults()).toEqual([`Session s holds inode ${file.inode}, and has no row for it.`, named]);
    await catalog.write([
      [byInode, undefined],
      [bySession, nothing],
      [encodeKey("io", 999_000_000_000, tail("s")), nothing],
      [encodeKey("os", "s", 999_000_000_000), nothing],
    ]);
    expect(await faults()).toEqual([
      "Inode 999000000000 is an orphan, and missing.",
      `Session s has a row for inode ${file.inode}, which it does not hold.`,
    ]);
  });

  it("finds extended attributes that nobody counted, or whose inode is gone", async () => {
    const says = (inode: number): string =>
      `Inode ${inode} says it has 0 extended attributes of 0 bytes, and has 1 of 7.`;
    await catalog.write([[extendedKey(file.inode, "user.a"), Buffer.from("1")]]);
    expect(await faults()).toEqual([says(file.inode)]);
    await catalog.write([
      [extendedKey(file.inode, "user.a"), undefined],
      [extendedKey(999_000_000_000 as Inode, "user.a"), Buffer.from("1")],
    ]);
    expect(await faults()).toEqual(["Inode 999000000000 is missing, and has the extended attribute user.a."]);
  });

  it("finds a mark of what hides a file that is wrong", async () => {
    await catalog.write([[entryKey(bucket, "x"), encodeEntry({ inode: file.inode, kind: "file", hidden: true })]]);
    expect(await faults()).toEqual([`Entry x in ${bucket} is marked as hidden by a directory.`]);
    await catalog.makeDirectory("b/x");
    expect(await faults()).toEqual([]);
    await catalog.write([[entryKey(bucket, "x"), fileEntry(file.inode)]]);
    expect(await faults()).toEqual([`Entry x in ${bucket} is not marked as hidden by a directory.`]);
  });

  it("finds a number of directories in a directory that is wrong", async () => {
    await catalog.makeDirectory("b/d");
    await rewrite(bucket, (record) => ({ ...record, linkCount: 2 }));
    expect(await faults()).toEqual([`Directory ${bucket} says it has 2 links, and has 3.`]);
  });

  it("finds a size that is not the content's, with content and without", async () => {
    await rewrite(file.inode, (record) => ({ ...record, sizeBytes: 4 }));
    expect(await faults()).toEqual([`Inode ${file.inode} says it has 4 bytes, and its content has 3.`]);
    await catalog.write([[contentKey(file.inode), undefined]]);
    expect(await faults()).toContain(`Inode ${file.inode} says it has 4 bytes, and its content has 0.`);
  });

  it("finds content of what is no file, and of what is not there", async () => {
    const content = encodeContent({ ...(file.version as FileVersion), copies: [] });
    await catalog.write([
      [contentKey(bucket), content],
      [contentKey(999_000_000_000 as Inode), content],
    ]);
    expect(await faults()).toEqual([
      `There is content of inode ${bucket}, which is a directory.`,
      "There is content of inode 999000000000, which is missing.",
    ]);
  });

  it("finds a time of entries that belongs to no directory", async () => {
    await catalog.write([[touchedKey(file.inode), encodeMoment({ ms: 1, ns: 2 })]]);
    expect(await faults()).toEqual([`There is a time of entries in inode ${file.inode}, which is no directory.`]);
  });

  it("finds an implicit directory that nothing is in", async () => {
    const directory = (await catalog.makeDirectory("b/d")).inode;
    await rewrite(directory, (record) => ({ ...record, implicit: true }));
    expect(await faults()).toEqual([`Directory ${directory} is implicit and empty.`]);
  });

  it("finds a copy without its owner, and one whose owner is another", async () => {
    const owner = ownerKey("local" as SiteName, "b/x");
    await catalog.write([[owner, undefined]]);
    expect(await faults()).toEqual([`Inode ${file.inode} has a copy at local, and does not own b/x there.`]);
    const other = (await catalog.put("b/y")).file;
    await catalog.write([[owner, encodeOwner({ inode: other.inode, versionId: other.version?.id as VersionId })]]);
    expect(await faults()).toEqual([
      `Inode ${file.inode} has a copy at local, and does not own b/x there.`,
      `At local the key b/x is owned by inode ${other.inode}, which has no such copy.`,
    ]);
  });

  it("finds what is owned by another version, at another site, or by nobody", async () => {
    const versionId = file.version?.id as VersionId;
    await catalog.write([
      [ownerKey("cloud" as SiteName, "b/x"), encodeOwner({ inode: file.inode, versionId })],
      [ownerKey("local" as SiteName, "b/w"), encodeOwner({ inode: 997_000_000_000 as Inode, versionId })],
      [ownerKey("local" as SiteName, "b/x"), encodeOwner({ inode: file.inode, versionId: "older" as VersionId })],
    ]);
    expect(await faults()).toEqual([
      `At cloud the key b/x is owned by inode ${file.inode}, which has no such copy.`,
      `At local the key b/w is owned by inode 997000000000, which has no such copy.`,
      `At local the key b/x is owned by inode ${file.inode}, which has no such copy.`,
    ]);
  });

  it("finds settings of a bucket that is not there, or that nobody made", async () => {
    const row = { createdMs: 1, versioning: "off" as const, objectLock: false, lifecycle: [] };
    const settingsOf = (documentsOf: number): Buffer => encodeBucket({ ...row, documentsOf: documentsOf as Inode });
    await catalog.putApart("d/e");
    await catalog.write([
      [bucketKey("d"), settingsOf(5)],
      [bucketKey("none"), settingsOf(5)],
    ]);
    expect(await faults()).toEqual([
      "Bucket d has settings, and no directory that somebody made.",
      "Bucket none has the documents of another one.",
      "Bucket none has settings, and no directory that somebody made.",
    ]);
  });
});

describe("the check of what is beside the tree", () => {
  it("finds directories that hang in a circle", async () => {
    const outer = (await catalog.makeDirectory("b/d")).inode;
    const inner = (await catalog.makeDirectory("b/d/e")).inode;
    await catalog.write([
      [entryKey(bucket, "d/"), undefined],
      [entryKey(inner, "d/"), encodeEntry({ inode: outer, kind: "directory" })],
    ]);
    await rewrite(bucket, (record) => ({ ...record, linkCount: 2 }));
    await rewrite(inner, (record) => ({ ...record, linkCount: 3 }));
    await rewrite(outer, (record) => ({ ...record, parent: { inode: inner, name: "d" } }));
    expect(await faults()).toEqual([
      `Directory ${outer} does not hang below the root.`,
      `Directory ${inner} does not hang below the root.`,
    ]);
  });

  it("goes on behind a row that cannot be read", async () => {
    await catalog.write([
      [attributesKey(file.inode), Buffer.from([99])],
      [entryKey(bucket, "ghost"), fileEntry(999_000_000_000)],
    ]);
    const found = await faults();
    expect(found).toContain(`Entry ghost in ${bucket} leads to inode 999000000000, which is missing.`);
    expect(found).toContain(
      `The row i ${file.inode.toString(16).padStart(16, "0")}, or one that it leads to, cannot be read.`,
    );
  });

  it("finds two copies at one site", async () => {
    const version = file.version as FileVersion;
    const [copy] = version.copies;
    if (copy === undefined) throw new Error("The file has a copy.");
    await catalog.write([
      [contentKey(file.inode), encodeContent({ ...version, copies: [copy, { ...copy, key: "b/y" }] })],
      [ownerKey(copy.site, "b/y"), encodeOwner({ inode: file.inode, versionId: version.id })],
    ]);
    expect(await faults()).toEqual([`Inode ${file.inode} has two copies of its version at one site.`]);
  });

  it("finds parts of no version, and a version whose parts are not told", async () => {
    const version = file.version as FileVersion;
    const parts = encodeVersionParts([{ partNumber: 1, sizeBytes: 3 }]);
    await catalog.write([[partsOfVersionKey(version.id), parts]]);
    expect(await faults()).toEqual([`There is a row of the parts of version ${version.id}, which no file has.`]);
    await catalog.write([[contentKey(file.inode), encodeContent({ ...version, details: { partCount: 1 } })]]);
    expect(await faults()).toEqual([]);
    await catalog.write([[partsOfVersionKey(version.id), undefined]]);
    expect(await faults()).toEqual([
      `Version ${version.id} of inode ${file.inode} came in 1 parts, and no row tells which.`,
    ]);
  });

  it("finds documents of a bucket without settings", async () => {
    await catalog.write([[bucketDocumentKey(77 as Inode, "policy"), Buffer.from("{}")]]);
    expect(await faults()).toEqual(["There are documents of bucket 77, which has no settings."]);
  });

  it("finds uploads that nothing protects, and what belongs to none", async () => {
    const upload: UploadRecord = {
      path: at("b/up"),
      uploadId: "01TESTUPLOAD00000000000000" as VersionId,
      startedMs: 1,
      metadata: {},
      inBucket: true,
      sites: [{ site: "local" as SiteName, objectKey: "b/up", uploadId: "theirs" }],
    };
    const part: PartRecord = { partNumber: 1, sizeBytes: 3, etag: "e", modifiedMs: 1, crc32c: "", sites: [] };
    await catalog.run(function* (tx) {
      putUpload(tx, upload);
      putPart(tx, upload.uploadId, part);
    });
    expect(await faults()).toEqual([]);
    const [protects] = await catalog.view((tx) => tx.range({ ...prefixRange(encodeKey("us")), limit: 1 }));
    await catalog.write([[(protects as KvEntry).key, undefined]]);
    expect(await faults()).toEqual([
      `Upload ${upload.uploadId} of b/up has an upload at local that no row protects from being swept.`,
    ]);
    await catalog.write([
      [(protects as KvEntry).key, Buffer.alloc(0)],
      [encodeKey("us", "local", tail("more")), Buffer.alloc(0)],
    ]);
    expect(await faults()).toEqual(["1 rows protect uploads at sites that belong to none that is under way."]);
    await catalog.write([
      [encodeKey("us", "local", tail("more")), undefined],
      [(protects as KvEntry).key, undefined],
      [encodeKey("u", "b/up", tail(upload.uploadId)), undefined],
    ]);
    expect(await faults()).toEqual([
      "1 rows tell the age of uploads that are not under way.",
      `There are parts of upload ${upload.uploadId}, which is not under way.`,
    ]);
    await catalog.write([
      [begunKey(upload), undefined],
      [encodeKey("up", upload.uploadId, 1), undefined],
      [encodeKey("u", "b/other", tail(upload.uploadId)), Buffer.from(JSON.stringify({ ...upload, sites: [] }))],
      [encodeKey("ue", tail("ended")), Buffer.from("{")],
      [encodeKey("ue", tail("known")), Buffer.from(JSON.stringify({ path: "b/k", uploadId: "known", endedMs: 3 }))],
    ]);
    expect(await faults()).toEqual([
      `The row of upload ${upload.uploadId} of b/other says that it is ${upload.uploadId} of b/up.`,
      `Upload ${upload.uploadId} of b/up has no row by its age, and is never given up.`,
      "The row ue 656e646564, or one that it leads to, cannot be read.",
      "What became of upload known has no row by its time, and is never forgotten.",
    ]);
    await catalog.write([
      [encodeKey("u", "b/other", tail(upload.uploadId)), undefined],
      [encodeKey("ue", tail("ended")), undefined],
      [encodeKey("ue", tail("known")), undefined],
      [endedTimeKey({ endedMs: 3, uploadId: "known" as VersionId }), Buffer.alloc(0)],
    ]);
    expect(await faults()).toEqual(["1 rows tell when uploads ended of which nothing is known."]);
  });
});

describe("a check of many rows", () => {
  it("looks at every page of them", async () => {
    const rows = Array.from({ length: 1_001 }, (_, index): readonly [Key, Uint8Array] => [
      entryKey(bucket, `y${String(index).padStart(4, "0")}`),
      fileEntry(file.inode),
    ]);
    const names = ["x", ...rows.map((_, index) => `y${String(index).padStart(4, "0")}`)];
    await catalog.write(rows);
    await catalog.write(
      names.slice(0, -1).map((name) => [nameKey(file.inode, { parent: bucket, name }), Buffer.alloc(0)]),
    );
    await rewrite(file.inode, (record) => ({ ...record, linkCount: 1_002 }));
    const report = await catalog.check();
    expect(report).toMatchObject({ entries: 1_003, files: 1 });
    expect(report.faults).toEqual([
      `Inode ${file.inode} has several names, and no row for y1000 in ${bucket}.`,
      `Inode ${file.inode} says it has 1002 names, and has rows for 1001.`,
    ]);
  });

  it("says a thousand faults at most", async () => {
    const rows = Array.from({ length: 1_002 }, (_, index): readonly [Key, Uint8Array] => [
      entryKey(bucket, `y${String(index).padStart(4, "0")}`),
      fileEntry(9_999_000_000_000),
    ]);
    await catalog.write(rows);
    expect(await faults()).toHaveLength(1_000);
  });
});

describe("the check of usage", () => {
  const write = async (directory: Inode, change: (row: UsageRow) => UsageRow): Promise<void> => {
    await catalog.run(function* (tx): Program<void> {
      writeUsage(tx, directory, change(yield* readUsage(tx, directory)));
    });
  };
  const all = async (): Promise<readonly string[]> => (await catalog.check()).faults;
  const lies = (says: string, are: string): string =>
    `Directory ${bucket} says that ${says} and 0 of older versions lie below it, and there are ${are} and 0 of older versions.`;

  it("finds a directory that says something else of what lies below it than there is, and one that says nothing", async () => {
    await write(bucket, (row) => ({ ...row, known: { ...row.known, sizeBytes: 8 } }));
    expect(await all()).toEqual([lies("1 inodes with 8 bytes", "1 inodes with 3 bytes")]);
    await write(bucket, (row) => ({ ...row, known: { ...row.known, sizeBytes: 3 } }));
    expect(await all()).toEqual([]);
    await catalog.run((tx) => dropUsage(tx, bucket));
    expect(await all()).toEqual([lies("0 inodes with 0 bytes", "1 inodes with 3 bytes")]);
  });

  it("finds what waits to be told, and is not known to", async () => {
    await write(bucket, (row) => ({ ...row, waits: false }));
    expect(await all()).toEqual([
      `Directory ${bucket} has not told all of its usage, and does not say so.`,
      `Directory ${bucket} says that it does not wait to tell its usage, and its row says otherwise.`,
      `Directory ${bucket} is to tell its usage, and does not say so.`,
    ]);
  });

  it("finds a quota that counts wrong, and a number of quotas that is wrong", async () => {
    const { used } = await catalog.run((tx) => posix.setQuota(tx, bucket, { maxBytes: 10 }));
    expect(await all()).toEqual([]);
    await catalog.run((tx) => writeQuota(tx, bucket, { used: { ...used, inodes: 7 } }));
    expect(await all()).toEqual([
      `The quota of directory ${bucket} counts 7 inodes with 3 bytes and 0 of older versions, and there are 1 inodes with 3 bytes and 0 of older versions.`,
    ]);
    await catalog.write([[encodeKey("nt"), undefined]]);
    expect(await all()).toContain("There are 1 quotas, and the catalog says otherwise.");
  });
});
