import { describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { bytesOf } from "../../stores/testing/scripted-store.ts";
import type { FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, putForeign, readAll, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const TWO = { local: "primary", cloud: "burst" } as const;
type Sites = keyof typeof TWO;
const MIB = 1024 ** 2;

async function put(store: FlakyStore, key: string, body: string, metadata: Record<string, string> = {}): Promise<void> {
  const staged = await store.stage(rigCtx, key, { metadata });
  await staged.write(Buffer.from(body));
  await staged.seal();
  await staged.commit(rigCtx);
}

/** `x` is at both sites, and a second later something happens to the copy at the primary. */
async function start(body = "ours"): Promise<TimedRig<Sites> & { readonly versionId: string }> {
  const rig = await startTimed(TWO);
  const { meta } = await rig.put("x", body);
  await rig.pass();
  await rig.clock.advance(1_000);
  return { ...rig, versionId: meta.versionId };
}

async function reasonAt(rig: TimedRig<Sites>, site: Sites): Promise<string | undefined> {
  await rig.coordinator.pauseAllJobs(rigCtx, true);
  await rig.read("x").catch(() => undefined);
  const { copies } = await rig.coordinator.explain(rigCtx, "x");
  return copies.find((copy) => copy.site === site)?.reason;
}

const readOnceMore = async ({ read }: TimedRig<Sites>): Promise<string> =>
  await read("x").catch(async () => await read("x"));

describe("an object that GlobalFS wrote, other than the catalog says, is", () => {
  it("news when it is of a later version: its commit was lost with the catalog's last moments", async () => {
    const rig = await start();
    await put(rig.sites.local, "x", "later", { "globalfs-version": "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" });
    expect(await readOnceMore(rig)).toBe("later");
    await rig.pass();
    expect(await bodyAt(rig.sites.cloud, "x")).toBe("later");
  });

  it("damage when it is of an earlier version, and is mended", async () => {
    const rig = await start();
    await put(rig.sites.local, "x", "earlier", { "globalfs-version": "00000000000000000000000000" });
    expect(await rig.read("x")).toBe("ours");
    expect(await reasonAt(rig, "local")).toBe("The site holds an older version that GlobalFS wrote.");
    await rig.coordinator.pauseAllJobs(rigCtx, false);
    await rig.pass();
    expect(await bodyAt(rig.sites.local, "x")).toBe("ours");
  });

  it("replaced by what is written before it is mended", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "ours");
    await rig.pass();
    await put(rig.sites.local, "x", "earlier", {
      "globalfs-version": "00000000000000000000000000",
      "globalfs-path": "y",
    });
    expect(await reasonAt(rig, "local")).toBe("The site holds an older version that GlobalFS wrote.");
    await rig.put("x", "newer");
    await rig.coordinator.pauseAllJobs(rigCtx, false);
    await rig.pass();
    for (const site of Object.values(rig.sites)) expect(await bodyAt(site, "x")).toBe("newer");
  });

  it("damage when it says that it is this version, and has other bytes", async () => {
    const rig = await start();
    await put(rig.sites.local, "x", "OURS", { "globalfs-version": rig.versionId });
    expect(await reasonAt(rig, "local")).toBe("The site holds other bytes that say they are this version.");
    expect(await rig.read("x")).toBe("ours");
  });
});

describe("an object of another tool under a key that a file had before it was renamed", () => {
  it("is damage: the key is GlobalFS's own until the object has moved", async () => {
    const rig = await start();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    await rig.coordinator.rename(rigCtx, { from: "x", to: "y" });
    await putForeign(rig.sites.local, "x", "theirs");
    expect(await rig.read("y")).toBe("ours");
    const { copies } = await rig.coordinator.explain(rigCtx, "y");
    expect(copies.find(({ site }) => site === "local")?.reason).toBe(
      "The site holds other bytes under a key that is GlobalFS's own.",
    );
  });
});

describe("a shorter object at the primary", () => {
  it("waits for the judgement while nobody who could tell answers", async () => {
    const rig = await start();
    await putForeign(rig.sites.local, "x", "our");
    rig.sites.cloud.failing.add("head");
    await expect(rig.read("x")).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("no site that could tell whether it is damaged answers") as string,
    });
    rig.sites.cloud.failing.clear();
    expect(await rig.read("x")).toBe("ours");
    await rig.pass();
    expect(await bodyAt(rig.sites.local, "x")).toBe("ours");
  });

  it("is news when the other copy is gone, or another object itself", async () => {
    const gone = await start();
    await putForeign(gone.sites.local, "x", "our");
    await gone.sites.cloud.delete(rigCtx, "x");
    expect(await readOnceMore(gone)).toBe("our");
    const other = await start();
    await putForeign(other.sites.local, "x", "our");
    await putForeign(other.sites.cloud, "x", "them");
    expect(await readOnceMore(other)).toBe("our");
  });

  it("is asked about nobody else once the reader has gone", async () => {
    const rig = await start();
    await putForeign(rig.sites.local, "x", "our");
    const { head } = rig.sites.cloud;
    rig.sites.cloud.head = () => Promise.reject(new GfsError("Canceled", "The reader went away."));
    await expect(rig.read("x")).rejects.toMatchObject({ code: "Canceled" });
    rig.sites.cloud.head = head;
    expect(await rig.read("x")).toBe("ours");
  });

  it.each([
    ["begins otherwise", (whole: string): string => `!${whole.slice(1, 2.5 * MIB)}`, "news"],
    ["ends otherwise", (whole: string): string => `${whole.slice(0, 2.5 * MIB - 1)}!`, "news"],
    ["has all that is left of the version", (whole: string): string => whole.slice(0, 2.5 * MIB), "damage"],
    ["has nothing of it", (): string => "", "damage"],
  ] as const)("that %s than the version is judged by both of its ends: %s", async (_what, cut, kind) => {
    const whole = "0123456789abcdef".repeat((3 * MIB) / 16);
    const rig = await start(whole);
    const shorter = cut(whole);
    await putForeign(rig.sites.local, "x", shorter);
    const fetched: number[] = [];
    const { get } = rig.sites.cloud;
    rig.sites.cloud.get = async (ctx, key, options) => {
      const range = options?.range as { readonly start: number; readonly end: number } | undefined;
      if (range !== undefined) fetched.push(range.end - range.start);
      return await get(ctx, key, options);
    };
    const bytes = await readOnceMore(rig);
    expect(bytes === (kind === "news" ? shorter : whole)).toBe(true);
    // However large it is, two MiB are compared.
    expect(fetched.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(2 * MIB);
  });
});

describe("an object with the version's size", () => {
  it("whose site calls its own bytes corrupt is not the version", async () => {
    const rig = await start();
    await put(rig.sites.local, "x", "OURS", { "globalfs-version": rig.versionId });
    const { get } = rig.sites.local;
    rig.sites.local.get = async (ctx, key, options) => {
      const body = await get(ctx, key, options);
      body.cancel();
      throw new GfsError("DataCorrupt", "The site gave other bytes than its checksum says.");
    };
    expect(await reasonAt(rig, "local")).toBe("The site holds other bytes that say they are this version.");
  });

  it("is judged when its site can be read again", async () => {
    const rig = await start();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    await putForeign(rig.sites.local, "x", "OURS");
    const { get } = rig.sites.local;
    rig.sites.local.get = (ctx, key, options) =>
      options?.ifMatch === undefined || options.range !== undefined || options.checkedByCaller !== true
        ? get(ctx, key, options)
        : get(ctx, key, options).catch(async (error: unknown) => {
            rig.sites.local.failing.add("get");
            throw error;
          });
    await expect(rig.read("x")).rejects.toMatchObject({ code: "Unavailable" });
    rig.sites.local.failing.clear();
    rig.sites.local.get = get;
    expect(await readOnceMore(rig)).toBe("OURS");
  });
});

describe("the version that news replaces", () => {
  it("is set aside from the copy that still has it, when another has not", async () => {
    const rig = await startTimed({ local: "primary", archive: "backup", cloud: "burst" });
    const { meta } = await rig.put("x", "ours");
    await rig.pass();
    await rig.clock.advance(1_000);
    await putForeign(rig.sites.local, "x", "theirs, and longer");
    await putForeign(rig.sites.archive, "x", "somebody else's");
    expect(await rig.read("x").catch(async () => await rig.read("x"))).toBe("theirs, and longer");
    const { notes } = await rig.coordinator.explain(rigCtx, "x");
    const kept = notes.flatMap((note) => /set aside as version ([0-9A-Z]{26})/.exec(note)?.[1] ?? []);
    const bodies: string[] = [];
    for (const versionId of kept) {
      const read = await rig.coordinator.readObject(rigCtx, "x", { versionId });
      bodies.push((await bytesOf((await read.open()).stream)).toString());
    }
    expect([bodies, meta.versionId === kept[0]]).toEqual([["ours"], false]);
  });

  it("is not set aside for a reader that has gone, and nothing is decided", async () => {
    const rig = await start();
    await putForeign(rig.sites.local, "x", "theirs, and longer");
    const { copy } = rig.sites.cloud;
    rig.sites.cloud.copy = () => Promise.reject(new GfsError("Canceled", "The reader went away."));
    await expect(rig.read("x")).rejects.toMatchObject({ code: "Canceled" });
    expect((await rig.coordinator.headObject(rigCtx, "x")).meta.versionId).toBe(rig.versionId);
    rig.sites.cloud.copy = copy;
    expect(await readOnceMore(rig)).toBe("theirs, and longer");
  });

  it("is lost when no site can set it aside, and the news counts all the same", async () => {
    const rig = await start();
    await putForeign(rig.sites.local, "x", "theirs, and longer");
    rig.sites.cloud.failing.add("copy");
    expect(await readOnceMore(rig)).toBe("theirs, and longer");
    const { notes } = await rig.coordinator.explain(rigCtx, "x");
    expect(notes.filter((note) => note.includes("set aside"))).toEqual([]);
  });
});

describe("bytes that no copy shows", () => {
  it("are found at a site that the catalog does not count, and that copy counts from then on", async () => {
    const rig = await start();
    const { sites, coordinator } = rig;
    await coordinator.pauseAllJobs(rigCtx, true);
    // Its copy was found wrong, and was brought back by hand since.
    await put(sites.cloud, "x", "wrong", { "globalfs-version": "00000000000000000000000000" });
    sites.local.failing.add("get");
    await rig.read("x").catch(() => undefined);
    sites.local.failing.clear();
    await sites.local.delete(rigCtx, "x");
    await put(sites.cloud, "x", "ours");
    expect(await rig.read("x")).toBe("ours");
    const states = (await coordinator.explain(rigCtx, "x")).copies.map(({ site, state }) => `${site} ${state}`);
    expect(states).toContain("cloud present");
  });

  it("are no others' bytes of the same size", async () => {
    const rig = await start();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    await put(rig.sites.cloud, "x", "wrong", { "globalfs-version": "00000000000000000000000000" });
    rig.sites.local.failing.add("get");
    await rig.read("x").catch(() => undefined);
    rig.sites.local.failing.clear();
    await rig.sites.local.delete(rigCtx, "x");
    for (const body of ["OURS", "longer than ours"]) {
      await put(rig.sites.cloud, "x", body);
      await expect(rig.read("x")).rejects.toMatchObject({ code: "DataCorrupt" });
    }
  });

  it("may be at a site that does not answer: then they are not called lost", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "ours");
    await rig.pass();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    await put(rig.sites.cloud, "x", "wrong", { "globalfs-version": "00000000000000000000000000" });
    rig.sites.local.failing.add("get");
    await rig.read("x").catch(() => undefined);
    rig.sites.local.failing.clear();
    await rig.sites.local.delete(rigCtx, "x");
    rig.sites.cloud.failing.add("head");
    await expect(rig.read("x")).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("cloud may have them and does not answer") as string,
    });
    rig.sites.cloud.failing.clear();
    for (const range of [undefined, { start: 0, end: 1 }])
      await expect(readAll(rig.coordinator, "x", range)).rejects.toMatchObject({ code: "DataCorrupt" });
  });
});
