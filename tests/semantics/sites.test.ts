import { mkdir, readdir, readFile, rename, rmdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlaceBook } from "../../src/coordinator/index.ts";
import { backgroundCtx } from "../../src/core/context.ts";
import type { GfsError } from "../../src/core/errors.ts";
import type { SiteName } from "../../src/core/ids.ts";
import { systemClock } from "../../src/core/ports/clock.ts";
import { silentLogger } from "../../src/core/ports/log.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { noMetrics } from "../../src/core/ports/metrics.ts";
import type { ObjectRead } from "../../src/coordinator/index.ts";
import { flakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import { putForeign, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { createFakeClock } from "../../src/core/testing/fake-clock.ts";
import { createMemoryKv } from "../../src/kv/index.ts";
import { createMemoryStore, createPlace, openFileStore, stackLayers } from "../../src/stores/index.ts";
import { cacheOf, PLAIN } from "./configuration.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, keysOf, tempDirectory } from "./setting.ts";

async function drain(read: ObjectRead): Promise<void> {
  for await (const _ of (await read.open()).stream) {
    // Only the end counts.
  }
}

everywhere(
  "P1 A primary that fails makes writes to it fail at once; reads go on from other copies",
  async ({ startTimed }) => {
    const { clock, coordinator, put, pass, read, sites } = await startTimed({ local: "primary", cloud: "burst" });
    await put("x", "1");
    await pass();
    sites.local.failing.add("*");
    const startedMs = clock.nowMs();
    let taken = 0;
    const body = (async function* (): AsyncGenerator<Uint8Array> {
      for (taken = 0; taken < 1_000; taken++) yield Buffer.alloc(1_000);
    })();
    await expect(coordinator.putObject(rigCtx, { key: "x", body })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("local") as string,
    });
    // No time had to pass, and the body was not taken in first.
    expect([clock.nowMs() - startedMs, taken]).toEqual([0, 0]);
    expect(await read("x")).toBe("1");
    sites.local.failing.clear();
    await put("x", "2");
    expect(await read("x")).toBe("2");
  },
);

test("P2 Not found, failed preconditions and canceled requests never count against a site", async () => {
  const clock = createFakeClock();
  const driver = flakyStore(createMemoryStore({}, { clock }));
  const { store, circuit } = stackLayers(
    driver,
    { site: "local", breaker: { threshold: 3, cooldownMs: 60_000 }, verifyMaxBytes: 1_000_000 },
    { clock, random: seededRandom(1), metrics: noMetrics },
  );
  const { coordinator, put, read, stop } = await startRig({
    kv: createMemoryKv({ clock }),
    clock,
    sites: [{ name: "local", role: "primary", store, circuit: circuit as NonNullable<typeof circuit> }],
    overrides: { cache: cacheOf({ ...PLAIN, cache: false }) },
  });
  await put("x", "some bytes");
  for (let time = 0; time < 10; time++) {
    expect(await codeOf(read(`absent ${time}`))).toBe("NotFound");
    expect(await codeOf(put("x", "1", { conditions: { ifNoneMatch: ["*"] } }))).toBe("PreconditionFailed");
    expect(await codeOf(coordinator.deleteObject(rigCtx, "x", { conditions: { ifMatch: ["other"] } }))).toBe(
      "PreconditionFailed",
    );
    const controller = new AbortController();
    const canceled = await coordinator.readObject(backgroundCtx({ signal: controller.signal }), "x");
    controller.abort();
    expect(await codeOf(drain(canceled))).toBe("Canceled");
    // At the site itself, too.
    expect(await codeOf(store.head(rigCtx, "absent"))).toBe("NotFound");
    expect(await codeOf(store.get(rigCtx, "x", { ifMatch: "other" }))).toBe("PreconditionFailed");
    expect(await codeOf(store.delete(rigCtx, "x", { ifMatch: "other" }))).toBe("PreconditionFailed");
  }
  expect(circuit?.()).toBe("closed");
  expect(await read("x")).toBe("some bytes");
  // What does count, does.
  driver.failing.add("get");
  for (let time = 0; time < 3; time++) await codeOf(read("x"));
  expect(circuit?.()).toBe("open");
  await stop();
});

everywhere("P6 A place that does not show a site's marker is not the site", async ({ start }) => {
  const base = await tempDirectory();
  const [root, away] = [join(base, "site"), join(base, "away")];
  const kv = createMemoryKv();
  const random = seededRandom(1);
  const driver = await openFileStore({ root });
  const place = createPlace({
    site: "local",
    label: `file://${root}`,
    store: driver,
    book: createPlaceBook({ kv, random, isCurrent: async () => true }, "local" as SiteName),
    unknownMarkers: "ask",
    moves: false,
    clock: systemClock,
    log: silentLogger,
  });
  await place.verify();
  const setting = await start(
    { local: "primary" },
    { kv, openStore: async (name) => (name === "local" ? place.guard(driver) : createMemoryStore()) },
  );
  const { coordinator, later, primaries, put, read } = setting;
  await put("kept", "kept");
  expect(await keysOf(setting)).toEqual(["kept"]);
  await rename(root, away);
  await mkdir(root);
  // Where others have it, too, it is read from there.
  const ofKept = primaries.length === 1 ? "Unavailable" : "done";
  for (const work of [() => put("new", "x"), () => put("kept", "x"), () => read("unknown")])
    expect(await codeOf(work())).toBe("Unavailable");
  expect(await codeOf(read("kept"))).toBe(ofKept);
  expect((await coordinator.listObjects(rigCtx, { limit: 10 })).failedSites.map(({ site }) => site)).toEqual(["local"]);
  expect(await readdir(root)).toEqual([]);
  // Another site's disk.
  await rmdir(root);
  const other = await openFileStore({ root });
  for (const work of [() => put("new", "x"), () => read("stranger")]) expect(await codeOf(work())).toBe("Unavailable");
  expect(await codeOf(read("kept"))).toBe(ofKept);
  await other.close();
  await rename(root, join(base, "other"));
  await rename(away, root);
  await setting.sites.local.check(rigCtx);
  await later();
  await put("new", "new");
  expect([await read("kept"), await read("new")]).toEqual(["kept", "new"]);
});

everywhere("P5 A symbolic link below a file site's directory is no object and leads nowhere", async ({ start }) => {
  const base = await tempDirectory();
  const [root, outside] = [join(base, "site"), join(base, "outside")];
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "secret");
  const setting = await start({ local: "primary" }, { openStore: async () => await openFileStore({ root }) });
  const { coordinator, put, read } = setting;
  await put("dir/kept", "kept");
  await symlink("../outside", join(root, "leak"));
  await symlink("../outside/secret", join(root, "file"));
  for (const key of ["leak/secret", "leak", "file"]) {
    expect(await codeOf(read(key))).toBe("NotFound");
    expect(await codeOf(coordinator.rename(rigCtx, { from: key, to: "stolen" }))).toBe("NotFound");
  }
  expect(await keysOf(setting)).toEqual(["dir/kept"]);
  expect(await keysOf(setting, "leak/")).toEqual([]);
  for await (const _ of coordinator.importSite(rigCtx, { site: "local" })) {
    // Only what is there afterwards counts.
  }
  expect(await keysOf(setting)).toEqual(["dir/kept"]);
  expect(await codeOf(put("leak/planted", "x"))).not.toBe("done");
  await coordinator.rename(rigCtx, { from: "dir/kept", to: "leak/moved" });
  expect(await read("leak/moved")).toBe("kept");
  await coordinator.deleteObject(rigCtx, "leak/secret").catch(() => undefined);
  expect(await readdir(outside)).toEqual(["secret"]);
  expect(await readFile(join(outside, "secret"), "utf8")).toBe("secret");
});

everywhere(
  "P4 A site is not taken out while no primary would be left or objects have their only copy there, unless it is forced",
  async ({ startTimed }) => {
    const setting = await startTimed({ local: "primary", second: "primary", cloud: "burst" });
    const { coordinator, kv, primaries, put, pass, sites } = setting;
    const refusal = async (name: string): Promise<unknown> => {
      const { entries } = await kv.stats();
      try {
        await coordinator.removeSite(rigCtx, name);
      } catch (error) {
        expect([(await coordinator.listSites(rigCtx)).length, (await kv.stats()).entries]).toEqual([
          (await coordinator.info(rigCtx)).sites,
          entries,
        ]);
        const { code, context } = error as GfsError;
        return [code, context["noPrimaryLeft"], context["onlyCopies"]];
      }
      return "removed";
    };
    await put("x", "1");
    await pass();
    await putForeign(sites.cloud, "lone/1", "1");
    await putForeign(sites.cloud, "lone/2", "1");
    for await (const _ of coordinator.importSite(rigCtx, { site: "cloud" })) {
      // Only the effect counts.
    }
    expect(await refusal("cloud")).toEqual(["Conflict", false, 2]);
    await coordinator.removeSite(rigCtx, "cloud", { force: true });
    for (const name of primaries.filter((each) => each !== "local")) expect(await refusal(name)).toBe("removed");
    expect(await coordinator.health(rigCtx)).toEqual({ healthy: true, problems: [] });
    expect(await refusal("local")).toEqual(["Conflict", true, 1]);
    await coordinator.removeSite(rigCtx, "local", { force: true });
    const { healthy, problems } = await coordinator.health(rigCtx);
    expect([healthy, problems[0]?.error]).toEqual([false, expect.stringContaining("no primary site")]);
  },
);
