import { afterEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { seededRandom } from "../core/ports/random.ts";
import type { FilePath, SiteName } from "../core/ids.ts";
import { putBytes } from "../stores/testing/scripted-store.ts";
import type { StoreCall } from "../stores/testing/scripted-store.ts";
import type { MoverConfig } from "./context.ts";
import { gate, MoverRig } from "./testing/rig.ts";

const ctx = backgroundCtx();

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

async function start(
  names: readonly string[] = ["local", "cloud"],
  config: Partial<MoverConfig> = {},
): Promise<MoverRig> {
  rig = await new MoverRig(names, config).start();
  return rig;
}

const away = (): never => {
  throw new GfsError("Unavailable", "The site is away.");
};

function failing(...operations: readonly string[]): (call: StoreCall) => void {
  return ({ operation }) => void (operations.includes(operation) && away());
}

const LARGE = Buffer.from(seededRandom(9).bytes(10_500));

describe("replication", () => {
  it("brings the bytes, their checksum and what is written beside them, and says so in the catalog", async () => {
    await start();
    const { version } = await rig.put("dir/file", "bytes");
    await rig.idle();
    const info = await rig.store("cloud").head(ctx, "dir/file");
    expect(await rig.bodyAt("cloud", "dir/file")).toBe("bytes");
    expect(info).toMatchObject({
      sha256: version.sha256,
      metadata: { "globalfs-version": version.id, "globalfs-path": "dir/file" },
    });
    expect(await rig.copy("dir/file", "cloud")).toMatchObject({ state: "present", etag: info.etag, key: "dir/file" });
    expect(await rig.job({ kind: "replicate" })).toMatchObject({ state: "done", attempts: 1, bytesDone: 5 });
    expect(await rig.mover.depth()).toBe(0);
  });

  it("moves empty files and large ones in parts, byte for byte", async () => {
    await start();
    await rig.put("empty", "");
    await rig.put("large", LARGE);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "empty")).toBe("");
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
    expect([rig.store("cloud").count("uploadPart"), rig.store("cloud").count("stage")]).toEqual([11, 1]);
    expect(await rig.copy("large", "cloud")).toMatchObject({ state: "present" });
  });

  it("waits for a site that is away as long as it takes, ever less often, and keeps the reason", async () => {
    await start();
    rig.store("cloud").script.before = away;
    await rig.put("file", "bytes");
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "The site is away.",
    });
    await rig.clock.advance(3_600_000);
    const attempts = rig.store("cloud").count("stage");
    expect(attempts).toBeGreaterThan(60);
    expect(attempts).toBeLessThan(200);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending" });
    delete rig.store("cloud").script.before;
    await rig.clock.advance(60_000);
    await rig.idle();
    const job = await rig.job({ path: "file" as FilePath });
    expect([job?.state, job?.reason]).toEqual(["done", undefined]);
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
  });

  it("waits twice as long after each attempt, from half a second to a minute, or as long as the site says", async () => {
    await start();
    let retryAfterMs: number | undefined;
    rig.store("cloud").script.before = () => {
      throw new GfsError("Overloaded", "Slow down.", retryAfterMs === undefined ? {} : { retryAfterMs });
    };
    await rig.put("file", "bytes");
    for (let attempts = 1; attempts <= 10; attempts++) {
      await rig.until(async () => (await rig.job({ kind: "replicate" }))?.attempts === attempts);
      const waitMs = ((await rig.job({ kind: "replicate" }))?.notBeforeMs ?? 0) - rig.clock.nowMs();
      const mostMs = attempts === 10 ? 90_000 : Math.min(60_000, 500 * 2 ** (attempts - 1));
      expect(waitMs).toBeLessThanOrEqual(mostMs);
      // Not all at once, when many wait for the same site.
      expect(waitMs).toBeGreaterThanOrEqual(attempts === 10 ? mostMs : mostMs / 2);
      if (attempts === 9) retryAfterMs = 90_000;
      await rig.clock.advance(Math.ceil(waitMs));
    }
  });

  it("gives up what waiting does not mend, and leaves the reason in the job and at the copy", async () => {
    await start();
    rig.store("cloud").script.before = () => {
      throw new GfsError("PermissionDenied", "The key may not write.");
    };
    await rig.put("file", "bytes");
    await rig.clock.advance(600_000);
    await rig.idle();
    expect(rig.store("cloud").count("stage")).toBe(8);
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "failed",
      reason: "The key may not write.",
    });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "failed", reason: "The key may not write." });
    delete rig.store("cloud").script.before;
    await rig.mover.resume((await rig.job({ path: "file" as FilePath }))?.id as never);
    await rig.idle();
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("does not count the time a site was away among the failures that make it give up", async () => {
    await start();
    rig.store("cloud").script.before = away;
    await rig.put("file", "bytes");
    await rig.clock.advance(3_600_000);
    let failures = 0;
    rig.store("cloud").script.before = () => {
      if (failures++ < 3) throw new GfsError("Internal", "The site stumbled.");
    };
    await rig.clock.advance(600_000);
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({ state: "done" });
  });

  it("gives up a job whose site was removed", async () => {
    await start();
    rig.store("cloud").script.before = away;
    await rig.put("file", "bytes");
    await rig.idle();
    rig.sites.delete("cloud");
    await rig.clock.advance(10_000);
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "failed",
      reason: "Site cloud is not registered any more.",
    });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "failed" });
  });

  it("reads from the next site when one fails, lies or has lost its copy", async () => {
    await start(["one", "two", "three", "target"]);
    await rig.put("file", "bytes", { at: ["one", "two", "three"], to: [] });
    rig.store("one").script.before = failing("get");
    rig.store("two").script.body = (body) => ({
      ...body,
      stream: (async function* () {
        yield Buffer.from("byteX");
      })(),
    });
    const file = await rig.put("file", "bytes", { at: ["one", "two", "three"], to: ["target"] });
    await rig.idle();
    expect(await rig.versionOf(file.inode)).toMatchObject({
      copies: expect.arrayContaining([expect.objectContaining({ site: "target", state: "present" })]) as unknown,
    });
    expect(await rig.bodyAt("target", "file")).toBe("bytes");
    expect(["one", "two", "three"].map((site) => rig.store(site).count("get"))).toEqual([1, 1, 1]);
  });

  it("does not read source after source when it is the target that fails", async () => {
    await start(["one", "two", "three", "target"]);
    rig.store("target").script.before = failing("write");
    await rig.put("file", "bytes", { at: ["one", "two", "three"], to: ["target"] });
    await rig.idle();
    expect(["one", "two", "three"].map((site) => rig.store(site).count("get"))).toEqual([1, 0, 0]);
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "The site is away.",
    });
  });

  it("waits for a source that is away while another has lost the bytes, and gives up when all have", async () => {
    await start(["one", "two", "target"]);
    rig.store("two").script.before = failing("get");
    await rig.mover.pauseAll(true);
    const written = await rig.put("file", "bytes", { at: ["one", "two"], to: ["target"] });
    await rig.store("one").delete(ctx, "file");
    await rig.mover.pauseAll(false);
    await rig.clock.advance(600_000);
    await rig.idle();
    expect(await rig.job({ kind: "replicate" })).toMatchObject({ state: "waiting" });
    rig.store("two").script = {};
    await rig.store("two").delete(ctx, "file");
    await rig.clock.advance(600_000);
    await rig.idle();
    expect(await rig.job({ kind: "replicate" })).toMatchObject({
      state: "failed",
      reason: expect.stringContaining("file") as string,
    });
    expect((await rig.versionOf(written.inode))?.copies.find(({ site }) => site === "target")).toMatchObject({
      state: "failed",
    });
  });

  it.each(["metadata", "read"] as const)(
    "does not believe a target that stored something else (verify: %s)",
    async (verify) => {
      await start(["local", "cloud"], { verify });
      let lies = 2;
      rig.store("cloud").script.after = async ({ operation, key }) => {
        if (operation !== "commit" || key !== "file" || lies-- <= 0) return;
        // The etag it hands out is that of the right bytes.
        const staged = await rig.store("local").head(ctx, "file");
        expect(staged.sizeBytes).toBe(5);
        await overwrite("byteX");
      };
      const overwrite = async (body: string): Promise<void> => {
        const { script } = rig.store("cloud");
        rig.store("cloud").script = {};
        await putBytes(rig.store("cloud"), "file", body);
        rig.store("cloud").script = script;
      };
      await rig.put("file", "bytes");
      await rig.idle();
      expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending" });
      expect((await rig.job({ kind: "replicate" }))?.reason).toMatch(/another object|by now/);
      await rig.clock.advance(60_000);
      await rig.idle();
      expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
      expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
    },
  );

  it("reads every byte back when it is told to", async () => {
    await start(["local", "cloud"], { verify: "read" });
    let wrong = 1;
    rig.store("cloud").script.body = (body) =>
      wrong-- > 0
        ? {
            ...body,
            stream: (async function* () {
              yield Buffer.from("rotten");
            })(),
          }
        : body;
    await rig.put("file", "bytes!");
    await rig.idle();
    expect(await rig.job({ kind: "replicate" })).toMatchObject({
      state: "waiting",
      reason: "Site cloud stored other bytes than were sent.",
    });
    await rig.clock.advance(60_000);
    await rig.idle();
    // And asks for nothing else.
    expect(rig.store("cloud").count("head")).toBe(0);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });
});

describe("a delete or a write that comes during a transfer", () => {
  it.each(["write", "seal", "commit"])(
    "wins over it, as late as at the %s: nothing deleted comes back",
    async (moment) => {
      await start();
      const reached = gate();
      const held = gate();
      let once = true;
      rig.store("cloud").script.before = async ({ operation }) => {
        if (operation !== moment || !once) return;
        once = false;
        reached.open();
        await held.passed;
      };
      await rig.put("file", "bytes");
      await reached.passed;
      const removing = rig.remove("file");
      // A commit is under the path's lock, and the delete waits for it.
      if (moment !== "commit") await removing;
      held.open();
      await removing;
      await rig.idle();
      expect([await rig.bodyAt("local", "file"), await rig.bodyAt("cloud", "file")]).toEqual([undefined, undefined]);
      expect(await rig.mover.depth()).toBe(0);
    },
  );

  it("removes what landed when the version went between the commit and the record of it", async () => {
    await start();
    rig.store("cloud").script.after = async ({ operation }) => {
      if (operation !== "head") return;
      rig.store("cloud").script = {};
      // The lock is held here, so the delete's transaction comes right after it is free.
      void rig.remove("file");
    };
    await rig.put("file", "bytes");
    await rig.until(async () => (await rig.job({ kind: "remove", site: "cloud" as SiteName })) !== undefined);
    await rig.idle();
    expect([await rig.bodyAt("local", "file"), await rig.bodyAt("cloud", "file")]).toEqual([undefined, undefined]);
  });

  it("makes the newest version the one that every site has in the end", async () => {
    await start();
    const reached = gate();
    const held = gate();
    let once = true;
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation !== "seal" || !once) return;
      once = false;
      reached.open();
      await held.passed;
    };
    await rig.put("file", "old");
    await reached.passed;
    await rig.put("file", "new bytes");
    held.open();
    await rig.idle();
    expect([await rig.bodyAt("local", "file"), await rig.bodyAt("cloud", "file")]).toEqual(["new bytes", "new bytes"]);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
    expect(rig.store("cloud").count("commit")).toBe(1);
  });

  it("needs one copy of the newest version when many were written while the site was away", async () => {
    await start();
    rig.store("cloud").script.before = away;
    for (let version = 0; version < 20; version++) await rig.put("file", `version ${version}`);
    // The one under way at the cloud, the newest behind it, and the newest that is published here.
    await rig.until(async () => (await rig.mover.depth()) <= 3);
    delete rig.store("cloud").script.before;
    await rig.clock.advance(60_000);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.store("cloud").count("commit")]).toEqual(["version 19", 1]);
  });
});

describe("a transfer in parts", () => {
  /** Stops at the so-manyth part, with the mover; returns what had arrived by then. */
  async function interrupted(parts: number): Promise<void> {
    let sent = 0;
    const held = gate();
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation === "uploadPart" && ++sent > parts) {
        held.open();
        await new Promise((_resolve, reject) =>
          setImmediate(() => reject(new GfsError("Unavailable", "The process is going."))),
        );
      }
    };
    await rig.put("large", LARGE);
    await held.passed;
  }

  it("sends only what is missing after a restart", async () => {
    await start();
    await interrupted(6);
    await rig.mover.stop();
    rig.store("cloud").script = {};
    const sent = rig.store("cloud").calls.filter(({ operation }) => operation === "uploadPart").length;
    const uploads = rig.store("cloud").count("createMultipart");
    await rig.restart();
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
    expect(rig.store("cloud").count("createMultipart")).toBe(uploads);
    // Six had arrived; eleven there are.
    expect(rig.store("cloud").count("uploadPart") - sent).toBe(5);
    expect(await rig.copy("large", "cloud")).toMatchObject({ state: "present" });
  });

  it("goes on from another copy when the source breaks in the middle", async () => {
    await start(["one", "two", "target"]);
    let first = true;
    rig.store("one").script.body = (body) => {
      if (!first) return body;
      first = false;
      return {
        ...body,
        stream: (async function* () {
          yield LARGE.subarray(0, 5_200);
          away();
        })(),
      };
    };
    await rig.put("large", LARGE, { at: ["one", "two"], to: ["target"] });
    await rig.idle();
    expect(await rig.bodyAt("target", "large")).toBe(LARGE.toString());
    expect([rig.store("target").count("createMultipart"), rig.store("target").count("uploadPart")]).toEqual([1, 11]);
    expect(rig.store("two").count("get")).toBe(1);
  });

  it("never trusts parts of bytes that nobody has checked", async () => {
    await start(["one", "two", "target"]);
    // The first source gives wrong bytes and breaks before its checksum can tell.
    let first = true;
    rig.store("one").script.body = (body) => {
      if (!first) return body;
      first = false;
      return {
        ...body,
        stream: (async function* () {
          yield Buffer.alloc(5_200, 0xee);
          away();
        })(),
      };
    };
    await rig.put("large", LARGE, { at: ["one", "two"], to: ["target"] });
    await rig.clock.advance(120_000);
    await rig.idle();
    expect(await rig.copy("large", "target")).toMatchObject({ state: "present" });
    expect(await rig.bodyAt("target", "large")).toBe(LARGE.toString());
  });

  it("throws its parts away when their bytes were wrong, and begins anew", async () => {
    await start();
    let first = true;
    rig.store("local").script.body = (body) => {
      if (!first) return body;
      first = false;
      return {
        ...body,
        stream: (async function* () {
          yield Buffer.alloc(LARGE.length, 1);
        })(),
      };
    };
    await rig.put("large", LARGE);
    await rig.idle();
    expect(await rig.job({ kind: "replicate" })).toMatchObject({
      state: "waiting",
      reason: expect.stringContaining("other bytes") as string,
    });
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
    expect(rig.store("cloud").count("createMultipart")).toBe(2);
  });

  it("keeps its parts when only the last step failed", async () => {
    await start();
    let failures = 1;
    rig.store("cloud").script.before = ({ operation }) =>
      void (operation === "completeMultipart" && failures-- > 0 && away());
    await rig.put("large", LARGE);
    await rig.idle();
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
    expect([rig.store("cloud").count("createMultipart"), rig.store("cloud").count("uploadPart")]).toEqual([1, 11]);
  });

  it("bears that the answer to its last step was lost", async () => {
    await start();
    let losses = 1;
    rig.store("cloud").script.after = ({ operation }) =>
      void (operation === "completeMultipart" && losses-- > 0 && away());
    await rig.put("large", LARGE);
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
    expect(await rig.copy("large", "cloud")).toMatchObject({ state: "present" });
  });

  it("leaves no upload behind when its version is gone", async () => {
    await start();
    await interrupted(3);
    await rig.idle();
    rig.store("cloud").script = {};
    const job = await rig.job({ kind: "replicate" });
    expect(job?.upload).toBeDefined();
    await rig.put("large", "small by now");
    await rig.clock.advance(60_000);
    await rig.idle();
    const upload = { key: "large", uploadId: job?.upload?.uploadId as string };
    await expect(rig.store("cloud").listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
    expect(await rig.bodyAt("cloud", "large")).toBe("small by now");
  });
});
