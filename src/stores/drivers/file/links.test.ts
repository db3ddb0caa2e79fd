import { mkdtemp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import type { GfsError } from "../../../core/errors.ts";
import { collect, put } from "./testing/objects.ts";
import type { Store } from "../../store.ts";
import { openFileStore } from "./opening.ts";

const ctx = backgroundCtx({ requestId: "test" });
const SECRET = "the key of the house";

let base: string;
let root: string;
let outside: string;
let store: Store;

beforeEach(async () => {
  base = await mkdtemp(path.join(os.tmpdir(), "globalfs-links-"));
  root = path.join(base, "site");
  outside = path.join(base, "outside");
  await mkdir(path.join(outside, "deep"), { recursive: true });
  await writeFile(path.join(outside, "secret"), SECRET);
  await writeFile(path.join(outside, "deep", "secret"), SECRET);
  store = await openFileStore({ root });
  await symlink("../outside", path.join(root, "leak"));
  await put(store, "real/kept", "kept");
});

afterEach(async () => {
  await store.close();
  await rm(base, { recursive: true });
});

/** Everything outside, with its bytes. */
async function outsideNow(): Promise<Record<string, string>> {
  const names = await readdir(outside, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [path.relative(outside, file), await readFile(file, "utf8")] as const)),
  );
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error as GfsError).code,
  );
}

describe("directories that the kernel has not at hand", () => {
  it("are looked for by a thousand at a time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => await codeOf(store.head(ctx, `absent-${index}/deep/object`))),
    );
    expect(new Set(answers)).toEqual(new Set(["NotFound"]));
  });
});

describe("a symbolic link to a directory in a file site", () => {
  it("shows nothing of what it leads to", async () => {
    for (const key of ["leak/secret", "leak/deep/secret", "leak"]) {
      expect(await codeOf(store.get(ctx, key))).toBe("NotFound");
      expect(await codeOf(store.head(ctx, key))).toBe("NotFound");
      expect(await codeOf(store.copy(ctx, key, "stolen"))).toBe("NotFound");
    }
    expect((await store.list(ctx, { limit: 100 })).objects.map(({ key }) => key)).toEqual(["real/kept"]);
    for (const prefix of ["leak", "leak/", "leak/deep/"]) {
      expect(await store.list(ctx, { prefix, limit: 100 })).toEqual({ objects: [], prefixes: [] });
      expect(await store.list(ctx, { prefix, delimiter: "/", limit: 100 })).toEqual({ objects: [], prefixes: [] });
    }
  });

  it("takes nothing in, and says why", async () => {
    const before = await outsideNow();
    for (const key of ["leak/new", "leak/secret", "leak/deep/new", "leak/fresh/new"]) {
      const refusal = await put(store, key, "planted").catch((error: unknown) => error as GfsError);
      expect(refusal).toMatchObject({ code: "LoopDetected" });
      expect((refusal as GfsError).message).toContain("symbolic link");
      expect(await codeOf(store.copy(ctx, "real/kept", key))).toBe("LoopDetected");
      const upload = await store.createMultipart(ctx, key, {});
      const part = await store.uploadPart(ctx, upload, 1, {
        sizeBytes: 1,
        async *open() {
          yield Buffer.from("x");
        },
      });
      expect(await codeOf(store.completeMultipart(ctx, upload, [part]))).toBe("LoopDetected");
    }
    expect(await outsideNow()).toEqual(before);
  });

  it("lets nothing be deleted through it", async () => {
    const before = await outsideNow();
    await store.delete(ctx, "leak/secret");
    await store.delete(ctx, "leak/deep/secret");
    await store.deleteMany(ctx, ["leak/secret", "leak"]);
    expect(await outsideNow()).toEqual(before);
  });

  it("does not lend its target for the staging area", async () => {
    await store.close();
    await rm(path.join(root, ".globalfs"), { recursive: true });
    await symlink("../outside", path.join(root, ".globalfs"));
    await expect(openFileStore({ root })).rejects.toThrow(/cannot hold a site/);
    await rm(path.join(root, ".globalfs"));
    await mkdir(path.join(root, ".globalfs"));
    await symlink("../../outside", path.join(root, ".globalfs", "staging"));
    await expect(openFileStore({ root })).rejects.toThrow(/cannot hold a site/);
    expect(Object.keys(await outsideNow()).sort()).toEqual(["deep/secret", "secret"]);
  });
});

describe("a site whose own directory is reached by a link", () => {
  it("is the directory that the link led to when it was opened", async () => {
    const elsewhere = path.join(base, "elsewhere");
    await mkdir(elsewhere);
    await symlink(elsewhere, path.join(base, "by-link"));
    const linked = await openFileStore({ root: path.join(base, "by-link") });
    await put(linked, "a/b", "there");
    expect(await readFile(path.join(elsewhere, "a", "b"), "utf8")).toBe("there");
    await rm(path.join(base, "by-link"));
    await symlink(outside, path.join(base, "by-link"));
    await put(linked, "a/c", "still there");
    expect(await readFile(path.join(elsewhere, "a", "c"), "utf8")).toBe("still there");
    expect(await codeOf(linked.get(ctx, "secret"))).toBe("NotFound");
    await linked.close();
  });
});

describe("what is neither file nor directory", () => {
  it("keeps nobody waiting", async () => {
    execFileSync("mkfifo", [path.join(root, "pipe")]);
    expect(await codeOf(store.get(ctx, "pipe"))).toBe("NotFound");
    expect(await codeOf(store.copy(ctx, "pipe", "copied"))).toBe("NotFound");
    expect((await collect(await store.get(ctx, "real/kept"))).toString()).toBe("kept");
  });
});
