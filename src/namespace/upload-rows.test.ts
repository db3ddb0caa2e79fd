import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, SiteName, VersionId } from "../core/ids.ts";
import { encodeKey, type Program, tail } from "../kv/index.ts";
import {
  dropLeftParts,
  dropPart,
  type BegunUpload,
  type EndedUpload,
  endUpload,
  findEndedUpload,
  findPart,
  findUpload,
  forgetEndedUpload,
  homelessBuckets,
  isUploadInUse,
  listUploads,
  oldEnded,
  oldUploads,
  type PartRecord,
  putPart,
  putUpload,
  readParts,
  removeDirectory,
  type UploadQuery,
  type UploadRecord,
} from "./index.ts";
import { at, TestCatalog } from "./testing/catalog.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

const LOCAL = "local" as SiteName;
const upload = (path: string, uploadId: string, more: Partial<UploadRecord> = {}): UploadRecord => ({
  path: path as FilePath,
  uploadId: uploadId as VersionId,
  startedMs: 1,
  metadata: {},
  sites: [],
  inBucket: true,
  ...more,
});
const part = (partNumber: number): PartRecord => ({
  partNumber,
  sizeBytes: 5,
  etag: `etag-${partNumber}`,
  modifiedMs: 1,
  crc32c: "AAAA",
  sites: [],
});
const begin = async (...uploads: readonly UploadRecord[]): Promise<void> => {
  await catalog.run(function* (tx): Program<void> {
    for (const each of uploads) putUpload(tx, each);
  });
};
const putParts = async (uploadId: string, numbers: readonly number[]): Promise<void> => {
  await catalog.run(function* (tx): Program<void> {
    for (const number of numbers) putPart(tx, uploadId as VersionId, part(number));
  });
};
let filled = 0;
const numbersUpTo = (count: number, after = 0): number[] =>
  Array.from({ length: count }, (_, index) => after + index + 1);
const numbersOf = async (uploadId: string, query: { after?: number; limit: number }): Promise<number[]> =>
  (await catalog.view((tx) => readParts(tx, uploadId as VersionId, query))).map(({ partNumber }) => partNumber);
const end = async (ended: UploadRecord, more: Partial<EndedUpload> = {}): Promise<void> => {
  const { uploadId, path } = ended;
  await catalog.run((tx) => endUpload(tx, ended, { uploadId, path, endedMs: 10, ...more }));
};

describe("an upload in parts", () => {
  it("is known by its path and id until it ends, and its sites' uploads as long", async () => {
    const first = upload("a", "1", { sites: [{ site: LOCAL, objectKey: "a", uploadId: "at the site" }] });
    const second = upload("a", "2", { sites: [{ site: LOCAL, objectKey: "a", uploadId: "another" }] });
    await begin(first, second);
    await putParts("1", [1, 2]);
    await putParts("2", [1]);
    expect(await catalog.view((tx) => findUpload(tx, at("a"), "1"))).toEqual(first);
    expect(await catalog.view((tx) => findUpload(tx, at("b"), "1"))).toBeUndefined();
    const inUse = async (site: string, id: string): Promise<boolean> =>
      await catalog.view((tx) => isUploadInUse(tx, site as SiteName, id));
    expect([await inUse("local", "at the site"), await inUse("cloud", "at the site")]).toEqual([true, false]);

    await end(first, { answer: { etag: "x" } });
    expect(await catalog.view((tx) => findUpload(tx, at("a"), "1"))).toBeUndefined();
    expect(await catalog.view((tx) => findUpload(tx, at("a"), "2"))).toEqual(second);
    expect([await inUse("local", "at the site"), await inUse("local", "another")]).toEqual([false, true]);
    expect([await numbersOf("1", { limit: 10 }), await numbersOf("2", { limit: 10 })]).toEqual([[], [1]]);
    const known = await catalog.view((tx) => findEndedUpload(tx, "1"));
    expect(known).toEqual({ uploadId: "1", path: "a", endedMs: 10, answer: { etag: "x" } });
    expect(await catalog.view((tx) => findEndedUpload(tx, "2"))).toBeUndefined();
  });

  it("takes its parts along when it ends, and leaves many of them to a walk, page by page", async () => {
    const [few, many] = [upload("a", "1"), upload("a", "2")];
    await begin(few, many);
    await putParts("1", numbersUpTo(20));
    for (let from = 0; from < 250; from += 50) await putParts("2", numbersUpTo(50, from));
    await end(few, { answer: "few" });
    expect(await numbersOf("1", { limit: 10 })).toEqual([]);
    await end(many, { answer: "many" });
    const look = async (id: string): Promise<unknown> => await catalog.view((tx) => findEndedUpload(tx, id));
    expect([await look("1"), await look("2")]).toEqual([
      { uploadId: "1", path: "a", endedMs: 10, answer: "few" },
      { uploadId: "2", path: "a", endedMs: 10, answer: "many", partsLeft: true },
    ]);
    const drop = async (id: string): Promise<boolean> => await catalog.run((tx) => dropLeftParts(tx, id as VersionId));
    expect([await drop("1"), await drop("none")]).toEqual([false, false]);
    expect(await catalog.rowsBelow(encodeKey("up"))).toBe(230);
    expect([await drop("2"), await drop("2"), await drop("2"), await drop("2")]).toEqual([true, true, false, false]);
    expect(await catalog.rowsBelow(encodeKey("up"))).toBe(0);
    expect(await look("2")).toEqual({ uploadId: "2", path: "a", endedMs: 10, answer: "many" });
  });

  it("leaves its parts where the transaction has no room for them", async () => {
    const whole = upload("a", "1");
    await begin(whole);
    await putParts("1", numbersUpTo(5));
    await catalog.run(function* (tx): Program<void> {
      while (tx.hasRoom({ writes: 11, sizeBytes: 0 })) tx.put(encodeKey("x", ++filled), Buffer.alloc(0));
      yield* endUpload(tx, whole, { uploadId: whole.uploadId, path: whole.path, endedMs: 10 });
    });
    expect(await catalog.rowsBelow(encodeKey("up"))).toBe(5);
    expect(await catalog.view((tx) => findEndedUpload(tx, "1"))).toMatchObject({ partsLeft: true });
  });

  it("has parts that are read by number, after one of them, and go one by one", async () => {
    await putParts("1", [3, 1, 256, 2]);
    await putParts("10", [7]);
    expect(await numbersOf("1", { limit: 10 })).toEqual([1, 2, 3, 256]);
    expect(await numbersOf("1", { limit: 2 })).toEqual([1, 2]);
    expect(await numbersOf("1", { after: 2, limit: 10 })).toEqual([3, 256]);
    expect(await catalog.view((tx) => findPart(tx, "1" as VersionId, 3))).toEqual(part(3));
    await catalog.run(function* (tx): Program<void> {
      dropPart(tx, "1" as VersionId, 3);
    });
    expect(await catalog.view((tx) => findPart(tx, "1" as VersionId, 3))).toBeUndefined();
    expect(await numbersOf("1", { limit: 10 })).toEqual([1, 2, 256]);
  });

  it("whose row cannot be read is said to be damaged", async () => {
    await catalog.write([[encodeKey("u", "a", tail("1")), Buffer.from("{")]]);
    await expect(catalog.view((tx) => findUpload(tx, at("a"), "1"))).rejects.toMatchObject({ code: "DataCorrupt" });
  });
});

describe("what is due of uploads", () => {
  it("is what has begun long ago, in that order, and what has ended, first what has left parts behind", async () => {
    await begin(upload("a", "1", { startedMs: 30 }), upload("b", "2", { startedMs: 10 }));
    await begin(upload("b", "2", { startedMs: 10, completing: "somebody" }), upload("c", "3", { startedMs: 20 }));
    const many = upload("d", "4", { startedMs: 40 });
    await begin(many);
    await putParts("4", numbersUpTo(30));
    await end(many, { endedMs: 9 });
    await end(upload("e", "5"), { endedMs: 7 });
    const begun = async (after?: BegunUpload): Promise<string[]> =>
      (await catalog.view((tx) => oldUploads(tx, { untilMs: 20, limit: 10, after }))).map(({ path }) => path);
    expect(await begun()).toEqual(["b", "c"]);
    expect(await begun({ startedMs: 10, path: at("b"), uploadId: "2" as VersionId })).toEqual(["c"]);
    const ended = async (untilMs: number): Promise<(string | number)[][]> =>
      (await catalog.view((tx) => oldEnded(tx, { untilMs, limit: 10 }))).map((each) => [each.uploadId, each.endedMs]);
    expect(await ended(6)).toEqual([["4", 0]]);
    expect(await catalog.run((tx) => dropLeftParts(tx, "4" as VersionId))).toBe(false);
    expect([await ended(7), await ended(9)]).toEqual([
      [["5", 7]],
      [
        ["5", 7],
        ["4", 9],
      ],
    ]);
    await catalog.run(function* (tx): Program<void> {
      forgetEndedUpload(tx, { uploadId: "5" as VersionId, endedMs: 7 });
    });
    expect([await ended(9), await catalog.view((tx) => findEndedUpload(tx, "5"))]).toEqual([[["4", 9]], undefined]);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is also what goes on in a bucket that is gone or goes by another name, and nothing else that loses a name", async () => {
    for (const name of ["b", "moved", "empty", "b/d"]) await catalog.makeDirectory(name);
    await begin(upload("b/x", "1"), upload("b/d/x", "2"), upload("moved/x", "3"));
    const homeless = async (): Promise<string[]> =>
      (await catalog.view((tx) => homelessBuckets(tx, 10))).map(({ bucket }) => bucket);
    const remove = async (path: string): Promise<boolean> =>
      await catalog.run((tx) => removeDirectory(tx, { path: at(path), semantics: "directory", nowMs: 5 }));
    for (const path of ["b/d", "empty"]) await remove(path);
    expect(await homeless()).toEqual([]);
    await remove("b");
    await catalog.move("moved", "to", { directory: true });
    expect(await homeless()).toEqual(["b", "moved"]);
  });
});

describe("the list of uploads", () => {
  const page = async (query: Partial<UploadQuery> = {}): Promise<Awaited<ReturnType<typeof all>>> => {
    const found = await catalog.view((tx) => listUploads(tx, { prefix: "", limit: 100, ...query }));
    const { next } = found;
    return {
      uploads: found.uploads.map(({ path, uploadId }) => `${path} ${uploadId}`),
      prefixes: found.prefixes,
      ...(next === undefined ? {} : { next }),
    };
  };
  const all = async (
    query: Partial<UploadQuery> & { readonly limit: number },
  ): Promise<{
    uploads: string[];
    prefixes: readonly string[];
    next?: { readonly key: string; readonly uploadId?: string };
  }> => {
    const uploads: string[] = [];
    const prefixes: string[] = [];
    let next: { readonly key: string; readonly uploadId?: string } | undefined;
    do {
      const after =
        next === undefined
          ? {}
          : { afterKey: next.key, ...(next.uploadId === undefined ? {} : { afterUploadId: next.uploadId }) };
      const got = await page({ ...query, ...after });
      expect(got.uploads.length + got.prefixes.length).toBeLessThanOrEqual(query.limit);
      uploads.push(...got.uploads);
      prefixes.push(...got.prefixes);
      next = got.next;
    } while (next !== undefined);
    return { uploads, prefixes };
  };

  beforeEach(async () => {
    await begin(
      ...["a 2", "a 1", "a.b 3", "a/b 4", "d/x 5", "d/y 6", "d/y 7", "e 8"].map((each) => {
        const [path, id] = each.split(" ");
        return upload(path as string, id as string);
      }),
    );
  });

  it("is in the order of the paths, then of the ids", async () => {
    expect(await page()).toEqual({
      uploads: ["a 1", "a 2", "a.b 3", "a/b 4", "d/x 5", "d/y 6", "d/y 7", "e 8"],
      prefixes: [],
    });
  });

  it("holds what begins with the prefix, and rolls up what lies behind the delimiter", async () => {
    expect(await page({ prefix: "a" })).toEqual({ uploads: ["a 1", "a 2", "a.b 3", "a/b 4"], prefixes: [] });
    expect(await page({ prefix: "d/" })).toEqual({ uploads: ["d/x 5", "d/y 6", "d/y 7"], prefixes: [] });
    expect(await page({ delimiter: "/" })).toEqual({ uploads: ["a 1", "a 2", "a.b 3", "e 8"], prefixes: ["a/", "d/"] });
    expect(await page({ delimiter: "/", prefix: "d/" })).toEqual({
      uploads: ["d/x 5", "d/y 6", "d/y 7"],
      prefixes: [],
    });
  });

  it.each([1, 2, 3, 7, 8])("is the same in pages of %i", async (limit) => {
    expect(await all({ limit })).toEqual(await page());
    expect(await all({ limit, delimiter: "/" })).toEqual(await page({ delimiter: "/" }));
    expect(await all({ limit, prefix: "d/" })).toEqual(await page({ prefix: "d/" }));
  });

  it("has no next page when all was given", async () => {
    expect(await page({ limit: 8 })).not.toHaveProperty("next");
    expect(await page({ limit: 7 })).toMatchObject({ next: { key: "d/y", uploadId: "7" } });
    expect(await page({ limit: 6, delimiter: "/" })).not.toHaveProperty("next");
    expect(await page({ limit: 4, delimiter: "/" })).toMatchObject({ next: { key: "a/" } });
    expect(await page({ limit: 0 })).toEqual({ uploads: [], prefixes: [] });
  });

  it("goes on after a key, and after one upload of it", async () => {
    expect((await page({ afterKey: "" })).uploads).toHaveLength(8);
    expect((await page({ afterKey: "a" })).uploads[0]).toBe("a.b 3");
    expect((await page({ afterKey: "a", afterUploadId: "1" })).uploads[0]).toBe("a 2");
    expect((await page({ afterKey: "d/y", afterUploadId: "6" })).uploads).toEqual(["d/y 7", "e 8"]);
    expect((await page({ afterKey: "b" })).uploads[0]).toBe("d/x 5");
    expect((await page({ afterKey: "d/" })).uploads[0]).toBe("d/x 5");
    expect(await page({ afterKey: "d/", delimiter: "/" })).toEqual({ uploads: ["e 8"], prefixes: [] });
    expect(await page({ afterKey: "a", delimiter: "/" })).toEqual({
      uploads: ["a.b 3", "e 8"],
      prefixes: ["a/", "d/"],
    });
  });

  it("begins at the prefix when the key lies before it, and is empty when it lies behind", async () => {
    expect((await page({ prefix: "d/", afterKey: "a" })).uploads).toEqual(["d/x 5", "d/y 6", "d/y 7"]);
    expect(await page({ prefix: "d/", afterKey: "e" })).toEqual({ uploads: [], prefixes: [] });
    expect((await page({ prefix: "d/", afterKey: "a/", delimiter: "/" })).uploads).toHaveLength(3);
  });

  it("is read to its end, also past what is read at once", async () => {
    const many = Array.from({ length: 1_100 }, (_, index) => upload("m", String(index).padStart(5, "0")));
    for (let from = 0; from < many.length; from += 50) await begin(...many.slice(from, from + 50));
    const found = await catalog.view((tx) => listUploads(tx, { prefix: "m", limit: 1_099 }));
    expect(found.uploads).toHaveLength(1_099);
    expect(found.next).toEqual({ key: "m", uploadId: "01098" });
    expect((await catalog.view((tx) => listUploads(tx, { prefix: "m", limit: 2_000 }))).uploads).toHaveLength(1_100);
  });
});
