import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { isGfsError } from "../../../core/errors.ts";
import { createNodeDisk } from "./disk/node-disk.ts";
import { linkSafety, reachByLooking, reachByWalking } from "./disk/open-without-links.ts";
import { openFileStore } from "./opening.ts";
import { collect, put } from "./testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });
const SWAPPER = path.join(import.meta.dirname, "testing", "swapper.mjs");
const ROUNDS = 60;

const WAYS = {
  "the kernel's own call": createNodeDisk({ opensAtOnce: false }),
  "the kernel's own call, and files opened at once": createNodeDisk({ opensAtOnce: true }),
  "one directory after the other": createNodeDisk({ opensAtOnce: false, reach: reachByWalking }),
};

describe.skipIf(process.platform !== "linux")("a directory that is swapped for a link again and again", () => {
  it.each(Object.entries(WAYS))("leads nobody out of the site, by %s", async (_name, disk) => {
    const base = await mkdtemp(path.join(os.tmpdir(), "globalfs-races-"));
    const [root, outside] = [path.join(base, "site"), path.join(base, "outside")];
    await mkdir(outside);
    await writeFile(path.join(outside, "secret"), "secret");
    const store = await openFileStore({ root }, { disk });
    await put(store, "flip/secret", "public");
    await put(store, "flip/sub/x", "public");
    await symlink(outside, path.join(base, "link"));
    const swapper = spawn(process.execPath, [SWAPPER, path.join(root, "flip"), path.join(base, "link")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const ended = once(swapper, "exit");
    try {
      await once(swapper.stdout, "data");
      const seen = { reads: 0, lists: 0, writes: 0, refusals: 0 };
      const attempt = async (kind: keyof typeof seen, work: () => Promise<void>): Promise<void> => {
        try {
          await work();
          seen[kind] += 1;
        } catch (error) {
          expect(isGfsError(error, "NotFound", "LoopDetected", "NotADirectory", "Conflict"), String(error)).toBe(true);
          seen.refusals += 1;
        }
      };
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all([
          attempt("reads", async () => {
            expect((await collect(await store.get(ctx, "flip/secret"))).toString()).toBe("public");
          }),
          attempt("lists", async () => {
            const { objects } = await store.list(ctx, { prefix: "flip/", limit: 1_000 });
            for (const { sizeBytes, key } of objects) expect(sizeBytes, key).not.toBe(0);
          }),
          attempt("writes", async () => void (await put(store, `flip/new-${round}`, "public"))),
          attempt("writes", async () => void (await put(store, `flip/made-${round}/x`, "public"))),
          attempt("writes", async () => void (await put(store, `flip/first-${round}`, "public", { ifNoneMatch: "*" }))),
          attempt("writes", async () => void (await store.copy(ctx, "flip/sub/x", `flip/copied-${round}`))),
          attempt("writes", async () => await store.delete(ctx, "flip/secret-not")),
          attempt("writes", async () => await store.delete(ctx, `flip/new-${round - 1}`)),
        ]);
      }
      expect(seen.refusals).toBeGreaterThan(0);
      expect(seen.reads).toBeGreaterThan(0);
      expect(seen.writes).toBeGreaterThan(0);
      expect(await readdir(outside)).toEqual(["secret"]);
      expect(await readFile(path.join(outside, "secret"), "utf8")).toBe("secret");
    } finally {
      swapper.stdin.end();
      await ended;
      await store.close();
      await rm(base, { recursive: true });
    }
  });
});

describe("each way to a directory", () => {
  const ways = { walking: reachByWalking, looking: reachByLooking };

  it.each(Object.entries(ways))("finds it, and follows no link, by %s", async (_name, reachHere) => {
    const base = await mkdtemp(path.join(os.tmpdir(), "globalfs-reach-"));
    try {
      await mkdir(path.join(base, "a", "b"), { recursive: true });
      await writeFile(path.join(base, "a", "b", "file"), "there");
      await symlink("a", path.join(base, "link"));
      const reached = await reachHere(path.join(base, "a", "b"));
      expect(await readFile(`${reached.path}/file`, "utf8")).toBe("there");
      reached.release();
      for (const wrong of ["link", "link/b", "a/b/file"])
        await expect(reachHere(path.join(base, wrong))).rejects.toMatchObject({
          code: expect.stringMatching(/^(?:ELOOP|ENOTDIR)$/) as string,
        });
      await expect(reachHere(path.join(base, "none"))).rejects.toMatchObject({ code: "ENOENT" });
    } finally {
      await rm(base, { recursive: true });
    }
  });

  it.skipIf(process.platform !== "linux")("is the kernel's own where the tests run", async () => {
    expect(await linkSafety()).toBe("kernel");
  });
});
