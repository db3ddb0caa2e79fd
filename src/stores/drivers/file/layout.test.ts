import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Disk } from "../../../core/ports/disk.ts";
import { nodeDisk } from "./disk/node-disk.ts";
import { openFileStore } from "./opening.ts";
import { put } from "./testing/objects.ts";

let root: string;
let flushed: string[];
let disk: Disk;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "globalfs-layout-"));
  flushed = [];
  disk = {
    ...nodeDisk,
    syncDirectory: async (at) => {
      flushed.push(at);
      await nodeDisk.syncDirectory(at);
    },
  };
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

describe("the directories of an object", () => {
  it("are flushed once, and again when another process has removed them and made them anew", async () => {
    const store = await openFileStore({ root }, { disk });
    const flushedBy = async (key: string): Promise<string[]> => {
      flushed = [];
      await put(store, key, "x");
      return flushed.map((at) => path.relative(root, at)).sort();
    };
    /** As one does that prunes them, and is killed after it has made them for another object. */
    const remade = async (gone: string): Promise<void> => {
      await rm(path.join(root, gone), { recursive: true });
      await mkdir(path.join(root, "a/b"), { recursive: true });
    };
    expect(await flushedBy("a/b/1")).toEqual(["", "a"]);
    expect(await flushedBy("a/b/2")).toEqual([]);
    await remade("a/b");
    expect(await flushedBy("a/b/3")).toEqual(["a"]);
    await remade("a");
    expect(await flushedBy("a/b/4")).toEqual(["", "a"]);
    expect(await flushedBy("a/b/5")).toEqual([]);
    await store.close();
  });
});
