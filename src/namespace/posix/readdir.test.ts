import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ROOT_INODE } from "../../core/ids.ts";
import { compareTexts } from "../../core/byte-text.ts";
import * as posix from "./index.ts";
import { codeOf, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
});

const page = async (limit: number, cookie?: string): Promise<posix.DirectoryPage> =>
  await catalog.view((tx) =>
    posix.readdir(tx, { inode: ROOT_INODE, limit, ...(cookie === undefined ? {} : { cookie }) }),
  );

describe("a directory that is read in pages", () => {
  it("gives names, inodes and kinds, and says when it is at its end", async () => {
    await catalog.mknod("b");
    await catalog.mkdir("a");
    await catalog.symlink("c", "x");
    const first = await page(2);
    expect(first).toEqual({
      entries: [
        { name: "a", inode: await catalog.inodeAt("a"), kind: "directory", cookie: "a/" },
        { name: "b", inode: await catalog.inodeAt("b"), kind: "file", cookie: "b" },
      ],
      isLast: false,
    });
    const second = await page(2, "b");
    expect(second).toMatchObject({ entries: [{ name: "c", kind: "symlink" }], isLast: true });
    expect(await page(1, "c")).toEqual({ entries: [], isLast: true });
  });

  it("is full also where files are hidden, and goes past many of them", async () => {
    for (let index = 0; index < 20; index++) {
      await catalog.put(`x${String(index).padStart(2, "0")}`);
      await catalog.put(`x${String(index).padStart(2, "0")}/below`);
    }
    const seen: string[] = [];
    for (let cookie: string | undefined; ;) {
      const { entries, isLast } = await page(3, cookie);
      seen.push(...entries.map(({ name, kind }) => `${name} ${kind}`));
      if (isLast) break;
      expect(entries).toHaveLength(3);
      cookie = entries.at(-1)?.cookie;
    }
    expect(seen).toHaveLength(20);
    expect(seen.every((line) => line.endsWith(" directory"))).toBe(true);
  });

  it("gives with each what stat(2) tells, of directories and all else", async () => {
    await catalog.mkdir("a");
    catalog.now = { ms: 20_000, ns: 9 };
    await catalog.mknod("a/x");
    await catalog.put("b");
    await catalog.mkdir("c");
    const { entries, isLast } = await catalog.view((tx) => posix.readdirplus(tx, { inode: ROOT_INODE, limit: 10 }));
    expect(isLast).toBe(true);
    expect(entries.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    for (const { name, attributes } of entries) expect(attributes).toEqual(await catalog.stat(name));
  });

  it("is a directory", async () => {
    const { inode } = await catalog.mknod("a");
    expect(await codeOf(catalog.view((tx) => posix.readdir(tx, { inode, limit: 1 })))).toBe("ENOTDIR");
  });

  it("skips nothing that was there the whole time, and gives nothing twice, whatever comes and goes between the pages", async () => {
    const names = ["a", "a-", "a.", "b", "b0", "c", "\udcff", "é", "z"];
    const change = fc.record({ name: fc.constantFrom(...names), make: fc.boolean(), directory: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 4, maxLength: 12 }),
        fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        async (before, between, limit) => {
          const tree = await PosixCatalog.open();
          const present = new Map<string, number>();
          const untouched = new Set<string>();
          const apply = async ({
            name,
            make,
            directory,
          }: {
            name: string;
            make: boolean;
            directory: boolean;
          }): Promise<void> => {
            const found = present.get(name);
            if (make && found === undefined)
              present.set(name, (await (directory ? tree.mkdir(name) : tree.mknod(name))).inode);
            if (make || found === undefined) return;
            present.delete(name);
            untouched.delete(name);
            await tree.removeAny(name);
          };
          for (const each of before) await apply(each);
          for (const name of present.keys()) untouched.add(name);
          const seen: number[] = [];
          let cookie: string | undefined;
          for (let turn = 0; ; turn++) {
            const from = cookie;
            const { entries, isLast } = await tree.view((tx) =>
              posix.readdir(tx, { inode: ROOT_INODE, limit, ...(from === undefined ? {} : { cookie: from }) }),
            );
            seen.push(...entries.map(({ inode }) => inode));
            if (isLast) break;
            cookie = entries.at(-1)?.cookie;
            for (const each of between[turn] ?? []) await apply(each);
          }
          expect(new Set(seen).size).toBe(seen.length);
          for (const name of untouched) expect(seen).toContain(present.get(name));
          const all = await tree.names("");
          expect(all.toSorted(compareTexts)).toEqual([...present.keys()].toSorted(compareTexts));
        },
      ),
      { numRuns: 100 },
    );
  });
});
