import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE, type SiteName, type VersionId } from "../core/ids.ts";
import { encodeBucket } from "./bucket-codec.ts";
import {
  decodeHistory,
  encodeHistory,
  encodeSequence,
  historyIn,
  historyKey,
  historySpace,
  indexKey,
} from "./history-rows.ts";
import { encodeKey, type Key, type KvEntry, prefixRange, type Program, tail } from "../kv/index.ts";
import { decodeAttributes, encodeAttributes, encodeMoment } from "./attributes-codec.ts";
import { encodeContent } from "./content-codec.ts";
import { decodePast, pastKey, pastSpace } from "./past-rows.ts";
import {
  attributesKey,
  bucketKey,
  contentKey,
  encodeEntry,
  encodeNumber,
  encodeOwner,
  entryKey,
  nameKey,
  ownerKey,
  touchedKey,
} from "./rows.ts";
import { extendedKey } from "./extended-rows.ts";
import { link } from "./links.ts";
import * as posix from "./posix/index.ts";
import { writeQuota } from "./quota-rows.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import type { FileAttributes, FileRecord, FileVersion } from "./types.ts";
import { readUsage, type UsageRow, writeUsage } from "./usage-rows.ts";

let catalog: TestCatalog;
let file: FileRecord;
let bucket: Inode;

beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
  ({ file } = await catalog.put("b/x"));
  bucket = (await catalog.directory("b"))?.inode as Inode;
});

const faults = async (): Promise<readonly string[]> => (await catalog.check()).faults;
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
    ]);
  });

  it("finds a directory that hangs elsewhere than it says", async () => {
    const directory = (await catalog.makeDirectory("b/d")).inode;
    const says = `Directory ${directory} hangs at d/ in ${bucket} and says otherwise.`;
    await rewrite(directory, (record) => ({ ...record, parent: { inode: ROOT_INODE, name: "d" } }));
    expect(await faults()).toEqual([
      says,
      lies(ROOT_INODE, "1 inodes with 0 bytes", "2 inodes with 0 bytes"),
      lies(bucket, "2 inodes with 3 bytes", "1 inodes with 3 bytes"),
    ]);
    await rewrite(directory, (record) => ({ ...record, parent: { inode: bucket, name: "e" } }));
    expect(await faults()).toEqual([says]);
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
      `Inode ${file.inode} says it has 2 names, and 1 lead to it.`,
    ]);
    await catalog.write([[entryKey(bucket, "x"), undefined]]);
    expect(await faults()).toEqual([
      `Inode ${file.inode} says it has 2 names, and 0 lead to it.`,
      `Inode ${file.inode} hangs elsewhere than it says.`,
    ]);
  });

  it("finds a file that hangs elsewhere than it says", async () => {
    await rewrite(file.inode, (record) => ({ ...record, parent: { inode: bucket, name: "y" } }));
    expect(await faults()).toEqual([`Inode ${file.inode} hangs elsewhere than it says.`]);
    await rewrite(file.inode, (record) => {
      const { parent: _, ...unnamed } = record;
      return unnamed;
    });
    expect(await faults()).toEqual([
      `Inode ${file.inode} hangs elsewhere than it says.`,
      lies(bucket, "1 inodes with 3 bytes", "0 inodes with 0 bytes"),
    ]);
  });

  it("finds a row of a name of what has one name, and of one that leads elsewhere", async () => {
    await catalog.write([[nameKey(file.inode, { parent: bucket, name: "x" }), Buffer.alloc(0)]]);
    const says = (name: string): string =>
      `There is a row for ${name} in ${bucket} as one of several names of inode ${file.inode}.`;
    expect(await faults()).toEqual([says("x")]);
    await catalog.run((tx) => link(tx, { from: at("b/x"), to: at("b/y"), nowMs: 1, nextInode: catalog.nextInode }));
    expect(await faults()).toEqual([]);
    await catalog.write([[nameKey(file.inode, { parent: bucket, name: "z" }), Buffer.alloc(0)]]);
    expect(await faults()).toEqual([says("z")]);
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
      `Session s has a row for inode ${file.inode}, which it does not hold.`,
      "Inode 999000000000 is an orphan, and missing.",
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
    expect(await faults()).toEqual([
      `Inode ${file.inode} says it has 4 bytes, and its content has 3.`,
      lies(bucket, "1 inodes with 3 bytes", "1 inodes with 4 bytes"),
    ]);
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
    const settings = encodeBucket({ createdMs: 1, versioning: "off", objectLock: false, lifecycle: [] });
    await catalog.putApart("d/e");
    await catalog.write([
      [bucketKey("d"), settings],
      [bucketKey("none"), settings],
    ]);
    expect(await faults()).toEqual([
      "Bucket d has settings, and no directory that somebody made.",
      "Bucket none has settings, and no directory that somebody made.",
    ]);
  });
});

describe("the check of histories", () => {
  let holder: FileRecord;
  let key: Key;
  let versionId: VersionId;

  beforeEach(async () => {
    holder = (await catalog.putApart("b/x")).kept as FileRecord;
    const [row] = await catalog.view((tx) => tx.range({ ...prefixRange(historySpace), limit: 1 }));
    ({ key } = row as KvEntry);
    versionId = holder.version?.id as VersionId;
  });
  const rowOf = async (): Promise<ReturnType<typeof decodeHistory>> =>
    decodeHistory(key, (await catalog.view((tx) => tx.get(key))) as Uint8Array);

  it("finds a version that no row leads to, and one that two do", async () => {
    const row = await rowOf();
    await catalog.write([[key, undefined]]);
    expect(await faults()).toEqual([
      `The index has version ${versionId} of b/x, and the history has not.`,
      `Inode ${holder.inode} has 0 names, and 0 rows of history lead to it.`,
      lies(bucket, "1 inodes with 3 bytes and 3 of", "1 inodes with 3 bytes and 0 of"),
    ]);
    await catalog.write([
      [key, encodeHistory(row)],
      [historyKey(row, 5), encodeHistory(row)],
    ]);
    expect(await faults()).toEqual([
      `Version ${versionId} of b/x is not in the index of its history.`,
      `Inode ${holder.inode} has 0 names, and 2 rows of history lead to it.`,
      lies(bucket, "1 inodes with 3 bytes and 3 of", "1 inodes with 3 bytes and 6 of"),
    ]);
  });

  it("finds a file with names that a row of history leads to", async () => {
    await rewrite(holder.inode, (record) => ({ ...record, parent: { inode: bucket, name: "x" } }));
    expect(await faults()).toEqual([`Inode ${holder.inode} has no name, and says that it hangs in ${bucket}.`]);
    await rewrite(holder.inode, (record) => ({ ...record, linkCount: 1 }));
    expect(await faults()).toEqual([
      `Inode ${holder.inode} has 1 names, and 1 rows of history lead to it.`,
      `Inode ${holder.inode} says it has 1 names, and 0 lead to it.`,
      `Inode ${holder.inode} hangs elsewhere than it says.`,
      lies(bucket, "1 inodes with 3 bytes and 3 of", "2 inodes with 6 bytes and 3 of"),
    ]);
  });

  it("finds a row that is not in the index, or at another place there", async () => {
    const index = indexKey({ directory: bucket, name: "x" }, versionId);
    await catalog.write([[index, undefined]]);
    expect(await faults()).toEqual([`Version ${versionId} of b/x is not in the index of its history.`]);
    await catalog.write([[index, encodeSequence(7)]]);
    expect(await faults()).toEqual([
      `Version ${versionId} of b/x is not in the index of its history.`,
      `The index has version ${versionId} of b/x, and the history has not.`,
    ]);
  });

  it("finds a row that leads to another version, and one that disagrees about its id", async () => {
    const row = await rowOf();
    await catalog.write([[key, encodeHistory({ ...row, inode: file.inode })]]);
    expect(await faults()).toContain(
      `Version ${versionId} of b/x leads to inode ${file.inode}, which does not hold it.`,
    );
    await catalog.write([[key, encodeHistory({ ...row, versioned: false })]]);
    expect(await faults()).toContain(
      `Version ${versionId} of b/x and its row of history disagree whether it has an id.`,
    );
  });

  it("finds a past directory that leads nowhere, hangs elsewhere, has an entry, too, or has no history in it", async () => {
    await catalog.deleteKey("b/d/y");
    expect(await faults()).toEqual([]);
    const [row] = await catalog.view((tx) => tx.range({ ...prefixRange(pastSpace), limit: 1 }));
    const { key: at, value } = row as KvEntry;
    const past = decodePast(value);
    await catalog.write([[entryKey(bucket, "d/"), encodeEntry({ inode: past, kind: "directory" })]]);
    expect(await faults()).toContain(`Inode ${past} says it has 1 names, and 2 lead to it.`);
    await catalog.write([[entryKey(bucket, "d/"), undefined]]);
    await rewrite(past, (record) => ({ ...record, parent: { inode: bucket, name: "e" } }));
    expect(await faults()).toContain(`The past directory ${past} hangs at d/ in ${bucket} and says otherwise.`);
    await rewrite(past, (record) => ({ ...record, parent: { inode: bucket, name: "d" } }));
    await catalog.write([[pastKey({ directory: bucket, name: "e/", order: 0 }), encodeNumber(holder.inode)]]);
    expect(await faults()).toContain(
      `The past directory e/ in ${bucket} leads to inode ${holder.inode}, which is none.`,
    );
    await catalog.write([[pastKey({ directory: bucket, name: "e/", order: 0 }), undefined]]);
    for (const { key: each } of await catalog.view((tx) => tx.range({ ...prefixRange(historyIn(past)), limit: 9 })))
      await catalog.write([[each, undefined]]);
    expect(await faults()).toContain(`There is no history in the past directory ${past}.`);
    await catalog.write([[at, undefined]]);
    expect(await faults()).toContain(`Inode ${past} says it has 1 names, and 0 lead to it.`);
  });

  it("finds a row in a directory that hangs nowhere", async () => {
    const row = await rowOf();
    const lost = { ...row, directory: 999_000_000_000 as Inode };
    await catalog.write([[historyKey(lost, 1), encodeHistory(lost)]]);
    expect(await faults()).toContain(`Version ${versionId} of x hangs in inode 999000000000, which hangs nowhere.`);
  });

  it("finds older versions in a bucket that keeps none", async () => {
    await catalog.write([[bucketKey("b"), undefined]]);
    expect(await faults()).toEqual(["b/x has older versions in a bucket that keeps none."]);
  });

  it("finds an older version on top of a key that has no entry, and not a delete marker there", async () => {
    await catalog.deleteKey("b/x");
    expect(await faults()).toEqual([]);
    const rows = await catalog.view((tx) => tx.range({ ...prefixRange(historySpace), limit: 10 }));
    const marker = rows.find(({ key: each, value }) => decodeHistory(each, value).inode === undefined);
    const markerRow = decodeHistory(marker?.key as Key, marker?.value as Uint8Array);
    await catalog.write([
      [marker?.key as Key, undefined],
      [indexKey(markerRow, markerRow.versionId), undefined],
    ]);
    const [newest] = rows.filter(({ key: each }) => each !== marker?.key);
    const { versionId: newestId } = decodeHistory(newest?.key as Key, newest?.value as Uint8Array);
    expect(await faults()).toEqual([`b/x has no entry, and its newest version ${newestId} is no delete marker.`]);
  });
});

describe("a check of many rows", () => {
  it("looks at every page of them", async () => {
    const rows = Array.from({ length: 1_001 }, (_, index): readonly [Key, Uint8Array] => [
      entryKey(bucket, `y${String(index).padStart(4, "0")}`),
      fileEntry(file.inode),
    ]);
    await catalog.write(rows);
    const report = await catalog.check();
    expect(report).toMatchObject({ entries: 1_003, files: 1 });
    expect(report.faults).toEqual([`Inode ${file.inode} says it has 1 names, and 1002 lead to it.`]);
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

  it("finds a directory that says something else of what lies below it than there is", async () => {
    await write(bucket, (row) => ({ ...row, known: { ...row.known, sizeBytes: 8 } }));
    expect(await faults()).toEqual([lies(bucket, "1 inodes with 8 bytes", "1 inodes with 3 bytes")]);
    await write(bucket, (row) => ({ ...row, known: { ...row.known, sizeBytes: 3 } }));
    expect(await faults()).toEqual([]);
  });

  it("finds what waits to be told, and is not known to", async () => {
    await write(bucket, (row) => ({ ...row, waits: false }));
    expect(await faults()).toEqual([
      `Directory ${bucket} has not told all of its usage, and does not say so.`,
      `Directory ${bucket} waits to tell its usage, and nobody knows.`,
      `Directory ${bucket} is to tell its usage, and does not say so.`,
    ]);
  });

  it("finds a quota that counts wrong, and a number of quotas that is wrong", async () => {
    const { used } = await catalog.run((tx) => posix.setQuota(tx, bucket, { maxBytes: 10 }));
    expect(await faults()).toEqual([]);
    await catalog.run((tx) => writeQuota(tx, bucket, { used: { ...used, inodes: 7 } }));
    expect(await faults()).toEqual([
      `The quota of directory ${bucket} counts 7 inodes with 3 bytes and 0 of older versions, and there are 1 inodes with 3 bytes and 0 of older versions.`,
    ]);
    await catalog.write([[encodeKey("n", "quotas"), undefined]]);
    expect(await faults()).toContain("There are 1 quotas, and the catalog says otherwise.");
  });
});

function lies(directory: Inode, says: string, are: string): unknown {
  return expect.stringMatching(
    new RegExp(`^Directory ${directory} says that ${says} .*lie below it, and there are ${are} `),
  );
}
