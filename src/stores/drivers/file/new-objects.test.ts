import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { isGfsError } from "../../../core/errors.ts";
import type { StagedWrite, Store } from "../../store.ts";
import { openFileStore } from "./opening.ts";
import { collect, put } from "./testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });
let root: string;
let one: Store;
let other: Store;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "globalfs-new-objects-"));
  // As two processes have it: neither knows of the other's locks.
  one = await openFileStore({ root });
  other = await openFileStore({ root });
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function sealed(store: Store, key: string, text: string): Promise<StagedWrite> {
  const staged = await store.stage(ctx, key, {});
  await staged.write(Buffer.from(text));
  await staged.seal();
  return staged;
}

/** Whether it was the first. */
async function create(staged: StagedWrite): Promise<boolean> {
  try {
    await staged.commit(ctx, { ifNoneMatch: "*" });
    return true;
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed")) throw error;
    await staged.abort();
    return false;
  }
}

describe("an object that is to be new", () => {
  it("is written once, however many processes write it at a time", async () => {
    for (let round = 0; round < 30; round++) {
      const key = `made/${round}/object`;
      const writes = await Promise.all([one, other, one, other].map((store, index) => sealed(store, key, `${index}`)));
      const outcomes = await Promise.all(writes.map(create));
      expect(outcomes.filter((won) => won)).toEqual([true]);
      expect((await collect(await one.get(ctx, key))).toString()).toBe(String(outcomes.indexOf(true)));
    }
    expect(await readdir(path.join(root, ".globalfs", "staging"))).toEqual([]);
  });

  it("is not new where one lies beside the directory of its name, also when the directory is gone", async () => {
    await put(one, "a", "first");
    await put(one, "a/b", "below");
    expect(await create(await sealed(one, "a", "second"))).toBe(false);
    await rm(path.join(root, "a"), { recursive: true });
    expect(await create(await sealed(one, "a", "third"))).toBe(false);
    expect((await collect(await one.get(ctx, "a"))).toString()).toBe("first");
  });

  it("gets its place beside a directory of its name", async () => {
    await put(one, "a/b", "below");
    expect(await create(await sealed(one, "a", "new"))).toBe(true);
    expect(await create(await sealed(one, "a", "newer"))).toBe(false);
    expect((await collect(await other.get(ctx, "a"))).toString()).toBe("new");
    expect((await collect(await other.get(ctx, "a/b"))).toString()).toBe("below");
  });

  it("has an object step aside that has the name of its directory", async () => {
    await put(one, "a", "object");
    expect(await create(await sealed(one, "a/b/c", "new"))).toBe(true);
    expect((await collect(await other.get(ctx, "a"))).toString()).toBe("object");
    expect((await collect(await other.get(ctx, "a/b/c"))).toString()).toBe("new");
  });
});
