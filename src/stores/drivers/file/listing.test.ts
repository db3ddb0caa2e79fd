import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import { openFileStore } from "./index.ts";
import { nodeDisk } from "./disk/node-disk.ts";

describe("a listing while the disk of the site is not mounted", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "globalfs-file-listing-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it.each(["", "data/", "nothing/"])("is no empty one, with the prefix '%s'", async (prefix) => {
    const root = join(directory, "site");
    const store = await openFileStore({ root });
    expect((await store.list(backgroundCtx(), { prefix, limit: 10 })).objects).toEqual([]);
    await rename(root, join(directory, "away"));
    await expect(store.list(backgroundCtx(), { prefix, limit: 10 })).rejects.toMatchObject({ code: "Unavailable" });
    // The mount point that is left behind.
    await mkdir(root);
    await expect(store.list(backgroundCtx(), { prefix, limit: 10 })).rejects.toMatchObject({ code: "Unavailable" });
    await store.close();
  });
});

describe("a page of a large directory", () => {
  let directory: string;
  const calls = { readDirectory: 0, inspect: 0 };
  const disk: Disk = {
    ...nodeDisk,
    async readDirectory(path) {
      calls.readDirectory += 1;
      return await nodeDisk.readDirectory(path);
    },
    async inspect(path, attribute) {
      calls.inspect += 1;
      return await nodeDisk.inspect(path, attribute);
    },
  };
  const ctx = backgroundCtx();
  const name = (index: number): string => `data/${String(index).padStart(3, "0")}`;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "globalfs-file-page-"));
    await mkdir(join(directory, "site", "data"), { recursive: true });
    for (let index = 0; index < 120; index++) await writeFile(join(directory, "site", name(index)), "x");
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("does not read the directory again, until somebody changes it", async () => {
    const store = await openFileStore({ root: join(directory, "site") }, { disk });
    const whole = async (): Promise<string[]> => {
      const keys: string[] = [];
      let continuation: string | undefined;
      do {
        const next = continuation === undefined ? {} : { continuation };
        const page = await store.list(ctx, { prefix: "data/", limit: 10, ...next });
        keys.push(...page.objects.map(({ key }) => key));
        continuation = page.continuation;
      } while (continuation !== undefined);
      return keys;
    };
    calls.readDirectory = 0;
    const expected = Array.from({ length: 120 }, (_, index) => name(index));
    expect(await whole()).toEqual(expected);
    expect(calls.readDirectory).toBe(1);
    await writeFile(join(directory, "site", name(120)), "another tool");
    expect(await whole()).toEqual([...expected, name(120)]);
    await store.delete(ctx, name(7));
    expect(await whole()).toEqual([...expected.filter((key) => key !== name(7)), name(120)]);
    expect(calls.readDirectory).toBe(3);
    await store.close();
  });

  it("asks only for the objects that the caller does not know", async () => {
    const store = await openFileStore({ root: join(directory, "site") }, { disk });
    calls.inspect = 0;
    const page = await store.list(ctx, { prefix: "data/", limit: 50, isKnown: (key) => key !== name(3) });
    expect(page.objects).toMatchObject([{ key: name(3), sizeBytes: 1 }]);
    expect(page.known).toEqual(Array.from({ length: 50 }, (_, index) => name(index)).filter((key) => key !== name(3)));
    expect(page.continuation).toBeDefined();
    expect(calls.inspect).toBe(1);
    await store.close();
  });
});
