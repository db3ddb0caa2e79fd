import { beforeEach, describe, expect, it } from "vitest";
import type { Inode, VersionId } from "../core/ids.ts";
import { afterPrefix, type Key, type Program, type RangeQuery, type Reader } from "../kv/index.ts";
import {
  listObjectPage,
  listPage,
  type ListQuery,
  makeSymlink,
  pageVersions,
  type VersionPlace,
  type VersionQuery,
} from "./index.ts";
import { historyFrom } from "./history-rows.ts";
import { encodeEntry, entryKey } from "./rows.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import { testVersion } from "./testing/model.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

interface Shown {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  readonly next?: string;
}
const list = async (query: Partial<ListQuery> = {}): Promise<Shown> => {
  const { files, prefixes, next } = await catalog.view((tx) => listPage(tx, { prefix: "", limit: 100, ...query }));
  return { keys: files.map(({ key }) => key), prefixes, ...(next === undefined ? {} : { next }) };
};
const paged = async (query: Partial<ListQuery>, limit: number): Promise<Shown> => {
  const keys: string[] = [];
  const prefixes: string[] = [];
  let after: string | undefined;
  do {
    const page = await list({ ...query, limit, ...(after === undefined ? {} : { after }) });
    keys.push(...page.keys);
    prefixes.push(...page.prefixes);
    after = page.next;
  } while (after !== undefined);
  return { keys, prefixes };
};

/** How many rows a program reads. */
const countRows = async (program: (tx: Reader) => Program<unknown>): Promise<number> => {
  let rows = 0;
  await catalog.view(function* (tx): Program<void> {
    yield* program({
      *get(key: Key) {
        rows += 1;
        return yield* tx.get(key);
      },
      *getMany(keys: readonly Key[]) {
        rows += keys.length;
        return yield* tx.getMany(keys);
      },
      *range(query: RangeQuery) {
        const found = yield* tx.range(query);
        rows += found.length;
        return found;
      },
    });
  });
  return rows;
};

describe("a listing", () => {
  beforeEach(async () => {
    for (const path of ["a", "a-b", "a/1", "a/2/x", "a0", "b/1"]) await catalog.put(path);
    await catalog.makeDirectory("b/empty");
    await catalog.makeDirectory("c");
  });
  const ALL = ["a", "a-b", "a/1", "a/2/x", "a0", "b/1", "b/empty/", "c/"];

  it("holds files and directories that somebody made, in the order of their keys' bytes", async () => {
    expect(await list()).toEqual({ keys: ALL, prefixes: [] });
    expect(await list({ delimiter: "/" })).toEqual({ keys: ["a", "a-b", "a0"], prefixes: ["a/", "b/", "c/"] });
  });

  it("below a directory begins with the directory itself when somebody made it", async () => {
    expect(await list({ prefix: "c/" })).toEqual({ keys: ["c/"], prefixes: [] });
    expect(await list({ prefix: "b/" })).toEqual({ keys: ["b/1", "b/empty/"], prefixes: [] });
    expect(await list({ prefix: "b/empty/", delimiter: "/" })).toEqual({ keys: ["b/empty/"], prefixes: [] });
    expect(await list({ prefix: "b/", delimiter: "/" })).toEqual({ keys: ["b/1"], prefixes: ["b/empty/"] });
    expect(await list({ prefix: "c/", after: "c/" })).toEqual({ keys: [], prefixes: [] });
    expect(await list({ prefix: "c/", after: "b" })).toEqual({ keys: ["c/"], prefixes: [] });
    expect(await list({ prefix: "b/empty/", after: "b/0" })).toEqual({ keys: ["b/empty/"], prefixes: [] });
  });

  it("with a prefix in the middle of a name holds what begins so", async () => {
    expect((await list({ prefix: "a" })).keys).toEqual(["a", "a-b", "a/1", "a/2/x", "a0"]);
    expect((await list({ prefix: "a-" })).keys).toEqual(["a-b"]);
    expect((await list({ prefix: "a/2" })).keys).toEqual(["a/2/x"]);
    expect(await list({ prefix: "a", delimiter: "/" })).toEqual({ keys: ["a", "a-b", "a0"], prefixes: ["a/"] });
    expect(await list({ prefix: "none/" })).toEqual({ keys: [], prefixes: [] });
    expect(await list({ prefix: "a/1/" })).toEqual({ keys: [], prefixes: [] });
  });

  it.each(["", "0", "a", "a-b", "a/", "a/1", "a/2/", "a/2/x", "a/3", "a0", "aa", "b", "b/", "b/empty/", "c/", "z"])(
    "after %j holds what is behind it",
    async (after) => {
      const behind = (keys: readonly string[]): string[] =>
        keys.filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
      expect((await list({ after })).keys).toEqual(behind(ALL));
      const rolled = await list({ after, delimiter: "/" });
      expect(rolled.keys).toEqual(behind(["a", "a-b", "a0"]));
      // A common prefix that was given is not given again, and one that only begins before still holds what is behind.
      expect(rolled.prefixes).toEqual(
        ["a/", "b/", "c/"].filter((prefix) => prefix !== after && behind(ALL).some((key) => key.startsWith(prefix))),
      );
    },
  );

  it("that begins behind its prefix is empty, and before it is whole", async () => {
    expect(await list({ prefix: "a/", after: "a0" })).toEqual({ keys: [], prefixes: [] });
    expect(await list({ prefix: "a/", after: "a" })).toEqual({ keys: ["a/1", "a/2/x"], prefixes: [] });
    expect(await list({ prefix: "b", after: "a/2" })).toMatchObject({ keys: ["b/1", "b/empty/"] });
  });

  it.each([1, 2, 3, 7, 8, 9])("in pages of %i is the same", async (limit) => {
    for (const prefix of ["", "a", "a/", "b/"]) {
      expect(await paged({ prefix }, limit)).toEqual(await list({ prefix }));
      expect(await paged({ prefix, delimiter: "/" }, limit)).toEqual(await list({ prefix, delimiter: "/" }));
    }
  });

  it("has a next page only when there is more", async () => {
    expect(await list({ limit: 8 })).not.toHaveProperty("next");
    expect(await list({ limit: 7 })).toMatchObject({ next: "b/empty/" });
    expect(await list({ limit: 6, delimiter: "/" })).not.toHaveProperty("next");
    expect(await list({ limit: 5, delimiter: "/" })).toMatchObject({ next: "b/" });
    expect(await list({ limit: 0 })).toEqual({ keys: [], prefixes: [] });
  });

  it("shows symbolic links only when it is asked to, and an object with its version", async () => {
    const { nextInode } = catalog;
    await catalog.run((tx) => makeSymlink(tx, { path: at("s"), target: "a", uid: 0, gid: 0, nowMs: 1, nextInode }));
    const page = await catalog.view((tx) => listObjectPage(tx, { prefix: "s", limit: 9 }));
    expect(page.files).toEqual([]);
    const all = await catalog.view((tx) => listObjectPage(tx, { prefix: "s", limit: 9, others: true }));
    expect(all.files).toMatchObject([{ key: "s", kind: "symlink", sizeBytes: 0, versionId: "" }]);
    const version = { ...testVersion("typed"), contentType: "t", metadata: { a: "b" } };
    await catalog.put("typed", { version });
    const query = { prefix: "typed", limit: 9 };
    const [whole] = (await catalog.view((tx) => listObjectPage(tx, query))).files;
    expect(whole).toMatchObject({ versionId: version.id, contentType: "t", metadata: { a: "b" } });
    const [brief] = (await catalog.view((tx) => listObjectPage(tx, { ...query, brief: true }))).files;
    expect(brief).toMatchObject({ versionId: version.id, metadata: {} });
    expect(brief).not.toHaveProperty("contentType");
  });

  it("leaves out what no key can name, and is full all the same", async () => {
    const long = `${"x".repeat(200)}/`.repeat(6);
    for (const path of ["a", "b\n", "c\udcff/d", "e", "f\udcff", `g/${long}h`, "i"]) await catalog.put(`odd/${path}`);
    const prefix = "odd/";
    expect((await list({ prefix })).keys).toEqual(["odd/a", "odd/e", "odd/i"]);
    expect(await list({ prefix, limit: 2 })).toMatchObject({ keys: ["odd/a", "odd/e"] });
    expect(await list({ prefix, limit: 1, after: "odd/a" })).toMatchObject({ keys: ["odd/e"] });
    expect((await list({ prefix, delimiter: "/" })).prefixes).toEqual(["odd/g/"]);
  });

  it("says that the catalog is damaged where an entry leads to nothing", async () => {
    await catalog.write([
      [entryKey(1 as never, "ghost"), encodeEntry({ inode: 999_000_000_000 as never, kind: "file" })],
    ]);
    await expect(list()).rejects.toMatchObject({ code: "DataCorrupt" });
  });
});

describe("a large listing", () => {
  beforeEach(async () => {
    for (let index = 0; index < 1_200; index++) await catalog.put(`d/${String(index).padStart(4, "0")}`);
    await catalog.put("e");
  });

  it("goes past what is read at once", async () => {
    expect((await list({ limit: 2_000 })).keys).toHaveLength(1_201);
    const page = await list({ prefix: "d/", limit: 1_199 });
    expect([page.keys.length, page.next]).toEqual([1_199, "d/1198"]);
    expect((await list({ prefix: "d/", limit: 1_000 })).next).toBe("d/0999");
  });

  it("reads what the page holds, and nothing of what it rolls up or has behind it", async () => {
    const rows = async (query: Partial<ListQuery>): Promise<number> =>
      await countRows((tx) => listPage(tx, { prefix: "", limit: 100, ...query }));
    expect(await rows({ delimiter: "/" })).toBeLessThan(10);
    expect(await rows({ prefix: "d/", limit: 10 })).toBeLessThan(40);
    expect(await rows({ prefix: "d/", after: "d/1190" })).toBeLessThan(40);
    expect(await rows({ prefix: "d/119" })).toBeLessThan(40);
    expect(await rows({ prefix: "d/", after: "e" })).toBeLessThan(3);
  });
});

describe("a listing of versions", () => {
  const id = (text: string): VersionId => text as VersionId;
  interface Seen {
    readonly items: readonly string[];
    readonly prefixes: readonly string[];
    readonly next?: VersionPlace;
  }
  const versions = async (query: Partial<VersionQuery> = {}): Promise<Seen> => {
    const page = await catalog.view((tx) => pageVersions(tx, { prefix: "b/", limit: 100, ...query }));
    const items = page.items.map(({ key, isLatest, file, row }) => {
      const shown = row?.versionId ?? file?.version?.id ?? "";
      return `${key} ${shown}${file === undefined ? "!" : ""}${isLatest ? " latest" : ""}`;
    });
    return { items, prefixes: page.prefixes, ...(page.next === undefined ? {} : { next: page.next }) };
  };
  const all = async (query: Partial<VersionQuery>): Promise<Seen> => {
    const items: string[] = [];
    const prefixes: string[] = [];
    let after: VersionPlace | undefined;
    do {
      const page = await versions({ ...query, ...(after === undefined ? {} : { after }) });
      items.push(...page.items);
      prefixes.push(...page.prefixes);
      after = page.next;
    } while (after !== undefined);
    return { items, prefixes };
  };

  beforeEach(async () => {
    await catalog.writeBucket("b");
    for (const each of ["1", "2", "3"]) await catalog.putApart("b/k", { id: id(each) });
    await catalog.putApart("b/k-l", { id: id("4") });
    await catalog.putApart("b/gone", { id: id("5") });
    await catalog.deleteKey("b/gone", { tombstoneVersionId: id("6") });
    await catalog.putApart("b/d/x", { id: id("7") });
    await catalog.putApart("b/d/x", { id: id("8") });
    await catalog.deleteKey("b/e/y", { tombstoneVersionId: id("9") });
    await catalog.putApart("b/f/z", { id: id("A") });
  });
  const ALL = [
    "b/d/x 8 latest",
    "b/d/x 7",
    "b/e/y 9! latest",
    "b/f/z A latest",
    "b/gone 6! latest",
    "b/gone 5",
    "b/k 3 latest",
    "b/k 2",
    "b/k 1",
    "b/k-l 4 latest",
  ];
  const TOP = ALL.filter((item) => /^b\/[gk]/.test(item));

  it("holds each key's versions and delete markers, the newest first", async () => {
    expect(await versions()).toEqual({
      items: ["b/ ", ...ALL].map((item) => item.replace("b/ ", "b/  latest")),
      prefixes: [],
    });
    expect((await versions({ prefix: "b/k" })).items).toEqual(TOP.slice(2));
    expect((await versions({ prefix: "b/none" })).items).toEqual([]);
  });

  it("rolls up directories, also those where only delete markers are left", async () => {
    const rolled = await versions({ delimiter: "/" });
    expect(rolled).toEqual({ items: ["b/  latest", ...TOP], prefixes: ["b/d/", "b/e/", "b/f/"] });
    expect((await versions({ prefix: "b/d/", delimiter: "/" })).items).toEqual(ALL.slice(0, 2));
  });

  it.each([1, 2, 3, 4, 10, 11])("in pages of %i is the same", async (limit) => {
    expect(await all({ limit })).toEqual(await versions());
    expect(await all({ limit, delimiter: "/" })).toEqual(await versions({ delimiter: "/" }));
    expect(await all({ limit, prefix: "b/k" })).toEqual(await versions({ prefix: "b/k" }));
  });

  it("has a next page only when there is more", async () => {
    expect(await versions({ limit: 11 })).not.toHaveProperty("next");
    expect(await versions({ limit: 10 })).toMatchObject({ next: { key: "b/k", row: { sequence: 1 } } });
    expect(await versions({ limit: 3 })).toMatchObject({ next: { key: "b/d/x", row: { sequence: 1 } } });
    expect(await versions({ limit: 2 })).toMatchObject({ next: { key: "b/d/x", row: "current" } });
    expect(await versions({ limit: 3, delimiter: "/" })).toMatchObject({ next: { key: "b/e/" } });
    expect(await versions({ limit: 9, delimiter: "/" })).toMatchObject({ next: { key: "b/k", row: { sequence: 1 } } });
    expect(await versions({ limit: 0 })).toEqual({ items: [], prefixes: [] });
  });

  it("goes on after a key, in the middle of one, and before all of one", async () => {
    const after = async (place: VersionPlace, more: Partial<VersionQuery> = {}): Promise<readonly string[]> =>
      (await versions({ ...more, after: place })).items;
    expect(await after({ key: "b/k" })).toEqual(ALL.slice(9));
    expect(await after({ key: "b/k", row: "current" })).toEqual(ALL.slice(7));
    const directory = (await catalog.directory("b"))?.inode as Inode;
    expect(await after({ key: "b/k", row: { directory, sequence: 2 } })).toEqual(ALL.slice(8));
    expect(await after({ key: "b/k", row: { directory, sequence: 1 } })).toEqual(ALL.slice(9));
    // A directory that is none of the path any more has nothing behind it.
    expect(await after({ key: "b/k", row: { directory: 999 as Inode, sequence: 2 } })).toEqual(ALL.slice(9));
    expect(await after({ key: "b/k", row: "none" })).toEqual(ALL.slice(6));
    expect(await after({ key: "b/gone", row: "none" })).toEqual(ALL.slice(4));
    expect(await after({ key: "b/gone" })).toEqual(ALL.slice(6));
    expect(await after({ key: "b/h" })).toEqual(ALL.slice(6));
    expect(await after({ key: "b/z" })).toEqual([]);
    expect(await after({ key: "a" }, { prefix: "b/k" })).toEqual(ALL.slice(6));
    expect(await after({ key: "c" }, { prefix: "b/k" })).toEqual([]);
    const rolled = await versions({ delimiter: "/", after: { key: "b/d/" } });
    expect(rolled).toEqual({ items: TOP, prefixes: ["b/e/", "b/f/"] });
    expect((await versions({ delimiter: "/", after: { key: "b/e/" } })).prefixes).toEqual(["b/f/"]);
    expect((await versions({ after: { key: "b/d/" } })).items).toEqual(ALL);
    expect((await versions({ delimiter: "/", after: { key: "b/" } })).prefixes).toEqual(["b/d/", "b/e/", "b/f/"]);
  });

  it("knows a newer version that came since the page before", async () => {
    const { next } = await versions({ prefix: "b/gone", limit: 1 });
    expect(next).toMatchObject({ key: "b/gone", row: { sequence: 2 } });
    expect((await versions({ prefix: "b/gone", after: next as VersionPlace })).items).toEqual(["b/gone 5"]);
    await catalog.removeVersion("b/gone", "6");
    await catalog.deleteKey("b/gone", { tombstoneVersionId: id("B") });
    expect((await versions({ prefix: "b/gone", after: next as VersionPlace })).items).toEqual(["b/gone 5"]);
  });

  it("says that the first row after a place is the latest when those above are gone", async () => {
    for (const each of ["C", "D", "E"]) await catalog.deleteKey("b/m", { tombstoneVersionId: id(each) });
    const { next } = await versions({ prefix: "b/m", limit: 1 });
    await catalog.removeVersion("b/m", "E");
    const page = async (): Promise<readonly string[]> =>
      (await versions({ prefix: "b/m", after: next as VersionPlace })).items;
    expect(await page()).toEqual(["b/m D! latest", "b/m C!"]);
    await catalog.putApart("b/m", { id: id("F") });
    expect(await page()).toEqual(["b/m D!", "b/m C!"]);
  });

  it("reads what the page holds, and nothing of what it rolls up", async () => {
    for (let index = 0; index < 300; index++) await catalog.deleteKey(`b/many/${index}`);
    await catalog.deleteKey("b/n", { tombstoneVersionId: id("G") });
    const query = { prefix: "b/m", delimiter: "/" as const, limit: 10 };
    expect(await versions({ ...query, limit: 1 })).toMatchObject({ prefixes: ["b/many/"] });
    expect(await countRows((tx) => pageVersions(tx, query))).toBeLessThan(30);
    expect(await countRows((tx) => pageVersions(tx, { ...query, after: { key: "b/many/" } }))).toBeLessThan(10);
  });

  it("goes past what is read at once", async () => {
    for (let index = 0; index < 1_100; index++)
      await catalog.deleteKey("b/m", { tombstoneVersionId: id(`m${String(index).padStart(4, "0")}`) });
    const { items } = await versions({ prefix: "b/m", limit: 2_000 });
    expect([items.length, items[0], items.at(-1)]).toEqual([1_100, "b/m m1099! latest", "b/m m0000!"]);
    expect((await versions({ prefix: "b/m", limit: 1_099 })).next).toMatchObject({
      key: "b/m",
      row: { sequence: 2 },
    });
  });

  it("takes nothing that lies behind the histories for one", async () => {
    const directory = (await catalog.directory("b"))?.inode as Inode;
    await catalog.write([[afterPrefix(historyFrom(directory, "z")), Buffer.from("no history")]]);
    expect((await versions({ prefix: "b/z" })).items).toEqual([]);
  });
});
