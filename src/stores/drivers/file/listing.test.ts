import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { openFileStore } from "./index.ts";

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
