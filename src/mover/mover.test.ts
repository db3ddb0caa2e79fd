import { afterEach, describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, JobId, SiteName } from "../core/ids.ts";
import { settle } from "../core/testing/fake-clock.ts";
import type { StoreCall } from "../stores/testing/scripted-store.ts";
import type { MoverConfig } from "./context.ts";
import { gate, MoverRig } from "./testing/rig.ts";

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

async function start(
  config: Partial<MoverConfig> = {},
  names: readonly string[] = ["local", "cloud"],
): Promise<MoverRig> {
  rig = await new MoverRig(names, config).start();
  return rig;
}

/** Holds every call of an operation at a site up, until it is opened. */
function holdUp(site: string, operation: string): { readonly held: () => StoreCall[]; readonly open: () => void } {
  const { passed, open } = gate();
  const held: StoreCall[] = [];
  const { script } = rig.store(site);
  script.before = async (call) => {
    if (call.operation !== operation) return;
    held.push(call);
    await new Promise<void>((resolve, reject) => {
      call.ctx?.signal.addEventListener("abort", () => reject(new GfsError("Canceled", "The operation was canceled.")));
      void passed.then(resolve);
    });
  };
  return {
    held: () => held,
    open() {
      delete script.before;
      open();
    },
  };
}

async function idOf(path: string): Promise<JobId> {
  return (await rig.job({ path: path as FilePath }))?.id as JobId;
}

const stateOf = async (path: string): Promise<string | undefined> => (await rig.job({ path: path as FilePath }))?.state;

describe("the mover's order of work", () => {
  it("has as many jobs under way as it may, and no more", async () => {
    await start({ maxConcurrentTransfers: 5 });
    const site = holdUp("cloud", "write");
    for (let file = 0; file < 12; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(() => site.held().length === 5);
    expect((await rig.jobs()).filter(({ state }) => state === "running").length).toBe(5);
    site.open();
    await rig.idle();
    expect(rig.store("cloud").count("commit")).toBe(12);
  });

  it("begins few jobs while somebody waits for whom they give way, and all that it may afterwards", async () => {
    await start({ maxConcurrentTransfers: 8 });
    const site = holdUp("cloud", "write");
    const end = rig.mover.giveWay();
    for (let file = 0; file < 12; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(() => site.held().length === 2);
    await settle();
    expect(site.held().length).toBe(2);
    end();
    await rig.until(() => site.held().length === 8);
    site.open();
    await rig.idle();
  });

  it("gives way for a moment only to who waits for something else", async () => {
    await start({ maxConcurrentTransfers: 8 });
    const site = holdUp("cloud", "write");
    const end = rig.mover.giveWay();
    for (let file = 0; file < 12; file++) await rig.put(`file${file}`, "bytes");
    await rig.clock.advance(1_000);
    expect(site.held().length).toBe(8);
    end();
    site.open();
    await rig.idle();
  });

  it("runs the jobs of one file at one site one after the other, in the order they were made", async () => {
    await start();
    const order: string[] = [];
    let under = 0;
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation !== "commit" && operation !== "delete") return;
      order.push(operation);
      expect(++under).toBe(1);
    };
    rig.store("cloud").script.after = ({ operation }) => {
      if (operation === "commit" || operation === "delete") under -= 1;
    };
    await rig.mover.pauseAll(true);
    await rig.put("file", "one");
    await rig.remove("file");
    await rig.put("file", "two");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(order.at(-1)).toBe("commit");
    expect([await rig.bodyAt("cloud", "file"), await rig.bodyAt("local", "file")]).toEqual(["two", "two"]);
  });

  it("does not let a lane that cannot move hold up the others, however long it is", async () => {
    await start({ maxConcurrentTransfers: 2 });
    const { inode, version } = await rig.put("blocked", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    const spec = {
      path: "blocked" as FilePath,
      inode,
      versionId: version.id,
      site: "cloud" as SiteName,
      key: "nothing",
      sizeBytes: 0,
      priority: 1,
    };
    const head = await rig.mover.enqueue({ ...spec, kind: "remove" });
    await rig.mover.pause(head.id);
    for (let behind = 0; behind < 1_200; behind++) await rig.mover.enqueue({ ...spec, kind: "remove" });
    await rig.put("free", "bytes");
    await rig.mover.pauseAll(false);
    await rig.until(async () => (await rig.copy("free", "cloud"))?.state === "present");
    expect((await rig.mover.get(head.id)).state).toBe("paused");
  });

  it("takes a person's job before all that wait", async () => {
    await start({ maxConcurrentTransfers: 1 });
    const site = holdUp("cloud", "commit");
    await rig.mover.pauseAll(true);
    for (let file = 0; file < 20; file++) await rig.put(`file${file}`, "bytes");
    await rig.mover.pauseAll(false);
    const { inode, version } = await rig.put("urgent", "bytes", { to: [] });
    await rig.until(() => site.held().length === 1);
    await rig.mover.enqueue({
      kind: "replicate",
      path: "urgent" as FilePath,
      inode,
      versionId: version.id,
      site: "cloud" as SiteName,
      key: "urgent",
      sizeBytes: 5,
      priority: 0,
    });
    site.open();
    await rig.idle();
    const commits = rig.store("cloud").calls.filter(({ operation }) => operation === "commit");
    expect(commits.slice(0, 2).map(({ key }) => key)).toEqual(["file0", "urgent"]);
  });

  it("comes back to policy's urgent work also while a long window of other work lies before it", async () => {
    await start({ maxConcurrentTransfers: 1 });
    let commits = 0;
    rig.store("cloud").script.before = async ({ operation, ctx }) => {
      // Each takes a while, as large files do.
      if (operation === "commit") await rig.clock.sleep(400, ctx?.signal);
      commits += operation === "commit" ? 1 : 0;
    };
    for (let file = 0; file < 50; file++) await rig.put(`file${file}`, "bytes");
    await rig.clock.advance(800);
    await rig.put("gone", "bytes", { to: [] });
    await rig.remove("gone");
    const before = commits;
    await rig.clock.advance(4_000);
    expect(await rig.bodyAt("local", "gone")).toBeUndefined();
    expect(commits - before).toBeLessThan(12);
  });
});

describe("a full queue", () => {
  it("remembers what it could not take, and brings it when there is room", async () => {
    await start({ maxQueuedJobs: 3 });
    await rig.mover.pauseAll(true);
    for (let file = 0; file < 10; file++) await rig.put(`file${file}`, "bytes");
    // Overwritten and deleted meanwhile: no longer needed as it was.
    await rig.put("file8", "newer");
    await rig.remove("file9");
    const waiting = (await rig.jobs()).filter(({ kind }) => kind === "replicate");
    expect(waiting.length).toBe(3);
    await rig.mover.pauseAll(false);
    await rig.until(async () => (await rig.copy("file8", "cloud"))?.state === "present");
    await rig.idle();
    for (let file = 0; file < 8; file++)
      expect(await rig.copy(`file${file}`, "cloud"), `file${file}`).toMatchObject({ state: "present" });
    expect([await rig.bodyAt("cloud", "file8"), await rig.bodyAt("cloud", "file9")]).toEqual(["newer", undefined]);
    expect(await rig.mover.depth()).toBe(0);
  });

  it("is not filled beyond what it holds by what was remembered, and takes some of it once a tenth is free", async () => {
    await start({ maxQueuedJobs: 60 });
    await rig.mover.pauseAll(true);
    for (let file = 0; file < 100; file++) await rig.put(`file${file}`, "bytes");
    const ids = (await rig.jobs()).map(({ id }) => id);
    const depthAfter = async (canceled: number): Promise<number> => {
      await rig.mover.stop();
      for (const id of ids.splice(0, canceled)) await rig.mover.cancel(id);
      await rig.restart();
      await rig.clock.advance(6_000);
      return await rig.mover.depth();
    };
    // Six are a tenth: with one more they come, in as many commits as it takes.
    expect([ids.length, await depthAfter(6), await depthAfter(1), await depthAfter(29)]).toEqual([60, 54, 60, 60]);
  });
});

describe("a person's hand on jobs", () => {
  it("pauses a job that is under way, also over a restart, until it is resumed", async () => {
    await start();
    const site = holdUp("cloud", "write");
    await rig.put("file", "bytes");
    await rig.until(() => site.held().length === 1);
    const id = await idOf("file");
    expect((await rig.mover.pause(id)).state).toBe("paused");
    expect(rig.store("cloud").count("abort")).toBe(1);
    site.open();
    await rig.idle();
    await rig.restart();
    await rig.idle();
    expect([await stateOf("file"), await rig.bodyAt("cloud", "file")]).toEqual(["paused", undefined]);
    await rig.mover.resume(id);
    await rig.idle();
    expect([await stateOf("file"), await rig.bodyAt("cloud", "file")]).toEqual(["done", "bytes"]);
  });

  it("keeps the parts of a paused transfer, and sends only the others when it goes on", async () => {
    await start({ transferChunkBytes: 100 });
    let sent = 0;
    const { passed, open } = gate();
    rig.store("cloud").script.before = async ({ operation, ctx }) => {
      if (operation !== "uploadPart" || ++sent <= 4) return;
      open();
      await rig.clock.sleep(60_000, ctx?.signal);
    };
    await rig.put("large", "x".repeat(950));
    await passed;
    const id = await idOf("large");
    await rig.mover.pause(id);
    rig.store("cloud").script = {};
    const before = rig.store("cloud").count("uploadPart");
    await rig.mover.resume(id);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "large"), rig.store("cloud").count("createMultipart")]).toEqual([
      "x".repeat(950),
      1,
    ]);
    expect(rig.store("cloud").count("uploadPart") - before).toBe(6);
  });

  it("cancels a job under way, with its upload, and says so at the copy", async () => {
    await start({ transferChunkBytes: 100 });
    const site = holdUp("cloud", "uploadPart");
    await rig.put("large", "x".repeat(950));
    await rig.until(() => site.held().length > 0);
    const id = await idOf("large");
    expect((await rig.mover.cancel(id)).state).toBe("canceled");
    site.open();
    await rig.idle();
    expect(await rig.copy("large", "cloud")).toMatchObject({ state: "failed", reason: "Its job was canceled." });
    expect([
      rig.store("cloud").count("abortMultipart"),
      await rig.bodyAt("cloud", "large"),
      await rig.mover.depth(),
    ]).toEqual([1, undefined, 0]);
    await expect(rig.mover.resume(id)).resolves.toMatchObject({ state: "canceled" });
    await expect(rig.mover.pause(id)).rejects.toMatchObject({ code: "Conflict" });
  });

  it("pauses everything, durably, and lets it go on", async () => {
    await start({ maxConcurrentTransfers: 3 });
    const site = holdUp("cloud", "write");
    for (let file = 0; file < 6; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(() => site.held().length === 3);
    await rig.mover.pauseAll(true);
    site.open();
    await rig.put("later", "bytes");
    await rig.restart();
    await rig.clock.advance(60_000);
    expect(rig.store("cloud").count("commit")).toBe(0);
    expect((await rig.jobs()).map(({ state }) => state)).toEqual(Array.from({ length: 7 }, () => "waiting"));
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(rig.store("cloud").count("commit")).toBe(7);
  });

  it("lists jobs by state, those under way with how far they are", async () => {
    await start({ maxConcurrentTransfers: 1 });
    const site = holdUp("cloud", "seal");
    await rig.put("one", "bytes");
    await rig.put("two", "more bytes");
    await rig.until(() => site.held().length === 1);
    const paths = async (state: "running" | "waiting" | "done"): Promise<string[]> =>
      (await rig.mover.list({ state, limit: 10 })).jobs.map(({ path }) => path);
    expect([await paths("running"), await paths("waiting"), await paths("done")]).toEqual([["one"], ["two"], []]);
    expect(await rig.mover.get(await idOf("one"))).toMatchObject({ state: "running", bytesDone: 5 });
    expect((await rig.mover.jobsOf("two")).map(({ state }) => state)).toEqual(["waiting"]);
    site.open();
    await rig.idle();
    expect(await paths("done")).toEqual(["one", "two"]);
  });
});

describe("stopping and starting", () => {
  it("takes up what was under way when it was stopped in the middle", async () => {
    await start();
    for (const operation of ["stage", "write", "seal", "commit", "head"]) {
      const site = holdUp("cloud", operation);
      await rig.put(`stopped at ${operation}`, "bytes");
      await rig.until(() => site.held().length === 1);
      const stopping = rig.mover.stop();
      await stopping;
      site.open();
      await rig.restart();
      await rig.idle();
      expect(await rig.copy(`stopped at ${operation}`, "cloud"), operation).toMatchObject({ state: "present" });
      expect(await rig.bodyAt("cloud", `stopped at ${operation}`)).toBe("bytes");
    }
    expect(await rig.mover.depth()).toBe(0);
  });

  it("drains: what is under way is finished, what waits is not begun", async () => {
    await start({ maxConcurrentTransfers: 2 });
    const site = holdUp("cloud", "commit");
    for (let file = 0; file < 4; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(() => site.held().length === 2);
    const draining = rig.mover.drain();
    site.open();
    await draining;
    expect([rig.store("cloud").count("commit"), await rig.mover.depth()]).toEqual([2, 2]);
    // Nothing of it is left behind.
    expect(rig.clock.waiting).toBe(0);
    await rig.restart();
    await rig.idle();
    expect(rig.store("cloud").count("commit")).toBe(4);
  });

  it("does not drain for ever when a transfer hangs", async () => {
    await start();
    const site = holdUp("cloud", "write");
    await rig.put("file", "bytes");
    await rig.until(() => site.held().length === 1);
    let drained = false;
    const draining = (async () => {
      await rig.mover.drain();
      drained = true;
    })();
    await rig.clock.advance(5_000);
    expect(drained).toBe(false);
    await rig.clock.advance(10_000);
    await draining;
    // It was told to end.
    expect([await rig.mover.depth(), rig.store("cloud").count("abort")]).toEqual([1, 1]);
  });

  it("survives a catalog that fails for a while", async () => {
    rig = new MoverRig(["local", "cloud"]);
    let broken = false;
    const { kv } = rig;
    const transact: typeof kv.transact = async (program) => {
      if (broken) throw new GfsError("NoSpace", "The disk of the catalog is full.");
      return await kv.transact(program);
    };
    const view: typeof kv.view = async (program) => {
      if (broken) throw new GfsError("Unavailable", "The catalog is out of reach.");
      return await kv.view(program);
    };
    Object.assign(rig.deps, { kv: { ...kv, transact, view } });
    await rig.start();
    // Another mover, which has this catalog.
    await rig.restart();
    rig.store("cloud").script.after = ({ operation }) => {
      if (operation === "seal") broken = true;
    };
    await rig.put("file", "bytes");
    await rig.until(() => broken);
    await rig.clock.advance(5_000);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending" });
    rig.store("cloud").script = {};
    broken = false;
    await rig.clock.advance(10_000);
    await rig.idle();
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });
});

describe("bandwidth between two sites", () => {
  const KIB = 1024;

  it("holds all transfers of the pair together to its rate, and no other pair", async () => {
    await start(
      { bandwidth: [{ from: "local", to: "cloud", bytesPerSecond: 100 * KIB }], transferChunkBytes: 1_000 * KIB },
      ["local", "cloud", "near"],
    );
    const startMs = rig.clock.monotonicMs();
    for (let file = 0; file < 5; file++) await rig.put(`file${file}`, Buffer.alloc(100 * KIB));
    const doneMs = new Map<string, number>();
    for (let step = 0; step < 100 && doneMs.size < 2; step++) {
      await rig.clock.advance(100);
      for (const site of ["cloud", "near"]) {
        if (!doneMs.has(site) && rig.store(site).count("commit") === 5)
          doneMs.set(site, rig.clock.monotonicMs() - startMs);
      }
    }
    expect(doneMs.get("near")).toBeLessThanOrEqual(200);
    expect(doneMs.get("cloud")).toBeGreaterThanOrEqual(4_700);
    expect(doneMs.get("cloud")).toBeLessThanOrEqual(5_200);
    await rig.idle();
  });

  it("applies the first limit that fits, wildcards included, and shows rate and remaining time", async () => {
    await start({
      bandwidth: [
        { from: "*", to: "cloud", bytesPerSecond: 10 * KIB },
        { from: "*", to: "*", bytesPerSecond: 1 },
      ],
      transferChunkBytes: 1_000 * KIB,
    });
    const chunk = Buffer.alloc(10 * KIB);
    rig.store("local").script.body = (body) => ({
      ...body,
      stream: (async function* () {
        for (let piece = 0; piece < 10; piece++) yield chunk;
      })(),
    });
    await rig.put("file", Buffer.alloc(100 * KIB));
    await rig.clock.advance(5_000);
    const job = await rig.job({ path: "file" as FilePath });
    expect(job?.state).toBe("running");
    expect(job?.bytesPerSecond).toBeGreaterThan(8 * KIB);
    expect(job?.bytesPerSecond).toBeLessThan(13 * KIB);
    expect(job?.etaSeconds).toBeGreaterThanOrEqual(3);
    expect(job?.etaSeconds).toBeLessThanOrEqual(8);
    await rig.clock.advance(6_000);
    await rig.idle();
    expect(await stateOf("file")).toBe("done");
  });
});
