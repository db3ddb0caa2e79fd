import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, type VersionId } from "../../core/ids.ts";
import {
  decodeHistory,
  encodeHistory,
  encodeSequence,
  historyIn,
  historyKey,
  historySpace,
  indexKey,
} from "../history-rows.ts";
import { type Key, type KvEntry, prefixRange } from "../../kv/index.ts";
import { decodeAttributes, encodeAttributes } from "../attributes-codec.ts";
import { decodePast, pastKey, pastSpace } from "../past-rows.ts";
import { attributesKey, bucketKey, encodeEntry, encodeNumber, entryKey } from "../rows.ts";
import { TestCatalog } from "../testing/catalog.ts";
import type { FileAttributes, FileRecord } from "../types.ts";

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
      `Inode ${holder.inode} has 0 names, and no row of history leads to it.`,
    ]);
    await catalog.write([
      [key, encodeHistory(row)],
      [historyKey(row, 5), encodeHistory(row)],
    ]);
    expect(await faults()).toEqual([
      `Version ${versionId} of b/x is not in the index of its history.`,
      `Several rows of history lead to inode ${holder.inode}.`,
    ]);
  });

  it("finds a file with names that a row of history leads to", async () => {
    await rewrite(holder.inode, (record) => ({ ...record, parent: { inode: bucket, name: "x" } }));
    expect(await faults()).toEqual([`Inode ${holder.inode} has no name, and says that it hangs in ${bucket}.`]);
    await rewrite(holder.inode, (record) => ({ ...record, linkCount: 1 }));
    expect(await faults()).toEqual([
      `Inode ${holder.inode} has 1 names, and a row of history leads to it.`,
      `Inode ${holder.inode} hangs elsewhere than it says.`,
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
    expect(await faults()).toContain(`Directory ${past} is past, and has an entry.`);
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
    expect(await faults()).toContain(`Directory ${past} hangs elsewhere than it says.`);
  });

  it("finds a row that leads to no inode, and two of one past directory", async () => {
    const row = await rowOf();
    await catalog.write([[key, encodeHistory({ ...row, inode: 999_000_000_000 as Inode })]]);
    expect(await faults()).toContain(`Version ${versionId} of x leads to inode 999000000000, which is missing.`);
    await catalog.deleteKey("b/d/y");
    const [past] = await catalog.view((tx) => tx.range({ ...prefixRange(pastSpace), limit: 1 }));
    const { value } = past as KvEntry;
    await catalog.write([[pastKey({ directory: bucket, name: "e/", order: 0 }), value]]);
    expect(await faults()).toContain(`Several rows lead to the past directory ${decodePast(value)}.`);
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
