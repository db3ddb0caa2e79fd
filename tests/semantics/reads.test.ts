import { expect } from "vitest";
import { putForeign, readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { GfsError } from "../../src/core/errors.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { bytesOf } from "../../src/stores/testing/scripted-store.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, fileStores, keysOf, recordFetches } from "./setting.ts";

const THREE = { cloud: "burst", archive: "backup", local: "primary" } as const;
const TWO = { local: "primary", cloud: "burst" } as const;

everywhere(
  "R1 After an acknowledged PUT or DELETE every read through the same coordinator sees it",
  async ({ start }) => {
    const setting = await start(TWO, { openStore: await fileStores() });
    const { coordinator, put, read } = setting;
    const random = seededRandom(4);
    const model = new Map<string, string>();
    for (let step = 0; step < 60; step++) {
      const key = `d/${Math.floor(random.fraction() * 3)}`;
      if (random.fraction() < 0.3) {
        await coordinator.deleteObject(rigCtx, key);
        model.delete(key);
      } else {
        // Often of the same length, so that a stale block would not show by its size.
        const body = `${step % 10}`.repeat(random.fraction() < 0.5 ? 50 : step + 1);
        await put(key, body);
        model.set(key, body);
      }
      const body = model.get(key);
      const seen = await read(key).catch((error: unknown) => (error as { code: string }).code);
      expect(seen).toBe(body ?? "NotFound");
      expect(await codeOf(coordinator.headObject(rigCtx, key))).toBe(body === undefined ? "NotFound" : "done");
      if (body !== undefined) expect((await readAll(coordinator, key, { suffix: 1 })).toString()).toBe(body.slice(-1));
      expect(await keysOf(setting)).toEqual([...model.keys()].toSorted());
    }
  },
);

everywhere(
  "R2 A read goes to the copies in the order of the route, and on to the next at the byte where one broke",
  async ({ start }) => {
    const { later, primaries, put, read, sites, settled } = await start(THREE);
    const body = Array.from({ length: 100_000 }, (_, index) => `${index} `).join("");
    await put("x", body);
    await settled();
    const fetches = recordFetches(sites);
    const askedBy = async (): Promise<string[]> => {
      await later();
      fetches.length = 0;
      expect(await read("x")).toBe(body);
      const asked = fetches.map(({ site, options }) => {
        const range = options?.range as { start: number } | undefined;
        return `${site} from ${range?.start ?? 0}`;
      });
      // One that fails may be asked again before the next is.
      return asked.filter((each, index) => each !== asked[index - 1]);
    };
    const route = [...primaries, "archive", "cloud"] as const;
    for (const [index, site] of route.entries()) {
      expect(await askedBy()).toEqual(route.slice(0, index + 1).map((each) => `${each} from 0`));
      sites[site].failing.add("get");
    }
    for (const site of route) sites[site].failing.clear();
    const [first, second, third] = route;
    sites[first].truncateAfter = 200_000;
    expect(await askedBy()).toEqual([`${first} from 0`, `${second} from 200000`]);
    sites[second].truncateAfter = 123_456;
    expect(await askedBy()).toEqual([`${first} from 0`, `${second} from 200000`, `${third} from 323456`]);
  },
);

everywhere(
  "R2 A read goes on where its version is published meanwhile, before and in the middle",
  async ({ start }) => {
    const { coordinator, primaries, put, sites, settled } = await start({ local: "primary" });
    const first = sites[primaries[0] as "local"];
    const { get } = first;
    const body = Array.from({ length: 50_000 }, (_, index) => `${index} `).join("");
    const publishAll = async (): Promise<void> => {
      await coordinator.pauseAllJobs(rigCtx, false);
      await settled();
    };
    const breakingOff = async function* (stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of stream) {
        yield chunk.subarray(0, 1_000);
        break;
      }
      await publishAll();
      throw new GfsError("Unavailable", "The connection broke.");
    };
    for (const when of ["before", "in the middle"]) {
      await put("x", `${when} 1`);
      await settled();
      await coordinator.pauseAllJobs(rigCtx, true);
      await put("x", `${when} 2 ${body}`);
      const keys: string[] = [];
      first.get = async (ctx, key, options) => {
        keys.push(key);
        if (keys.length > 1) return await get(ctx, key, options);
        if (when === "before") await publishAll();
        const opened = await get(ctx, key, options);
        return { ...opened, stream: breakingOff(opened.stream) };
      };
      // Once: whoever asks again finds it, anyway.
      const { stream } = await (await coordinator.readObject(rigCtx, "x")).open();
      expect((await bytesOf(stream)).toString()).toBe(`${when} 2 ${body}`);
      first.get = get;
      expect(keys[0]).toContain(".globalfs/landed/");
      expect((await first.list(rigCtx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(["x"]);
      if (primaries.length === 1) expect(keys.at(-1)).toBe("x");
      const { copies } = await coordinator.explain(rigCtx, "x");
      expect(copies.map(({ state, key }) => [state, key])).toEqual(primaries.map(() => ["present", "x"]));
    }
  },
);

everywhere(
  "R3 Every fetch names the content it expects, and what a site holds instead is not served as this version",
  async ({ start }) => {
    const { coordinator, later, primaries, put, read, sites, settled } = await start(THREE);
    await put("x", "ours");
    await settled();
    const etags = new Map<string, string>();
    for (const [name, store] of Object.entries(sites)) etags.set(name, (await store.head(rigCtx, "x")).etag);
    const fetches = recordFetches(sites);
    expect(await read("x")).toBe("ours");
    for (const site of primaries) sites[site].failing.add("get");
    await later();
    expect((await readAll(coordinator, "x", { start: 1, end: 3 })).toString()).toBe("ur");
    expect(new Set(fetches.map(({ site }) => site))).toEqual(new Set([...primaries, "archive"]));
    for (const { site, options } of fetches) expect(options?.ifMatch).toBe(etags.get(site));
    // Of the same length, at the site that is asked next: only the etag tells.
    await putForeign(sites.archive, "x", "evil");
    await later();
    expect(await read("x")).toBe("ours");
    await putForeign(sites.cloud, "x", "evil");
    sites.archive.failing.add("get");
    await later();
    expect(await codeOf(read("x"))).toBe("Unavailable");
  },
);

everywhere(
  "R4 A key that no site has is absent; while a primary is silent an unknown key is unavailable, not absent",
  async ({ start }) => {
    const { coordinator, later, put, read, sites } = await start({
      local: "primary",
      second: "primary",
      cloud: "burst",
    });
    await putForeign(sites.second, "theirs", "foreign");
    await put("known", "ours");
    sites.cloud.failing.add("*");
    const look = async (key: string): Promise<string[]> => [
      await codeOf(coordinator.headObject(rigCtx, key)),
      await codeOf(read(key)),
    ];
    expect(await look("absent")).toEqual(["NotFound", "NotFound"]);
    sites.second.failing.add("*");
    expect(await look("absent")).toEqual(["Unavailable", "Unavailable"]);
    expect(await look("theirs")).toEqual(["Unavailable", "Unavailable"]);
    expect(await read("known")).toBe("ours");
    sites.local.failing.add("*");
    expect(await codeOf(coordinator.headObject(rigCtx, "known"))).toBe("done");
    sites.local.failing.clear();
    sites.second.failing.clear();
    await later();
    expect(await read("theirs")).toBe("foreign");
    await coordinator.deleteObject(rigCtx, "known");
    expect(await look("known")).toEqual(["NotFound", "NotFound"]);
  },
);

everywhere("R5 The cache never makes a read fail, and never answers for another version", async ({ start }) => {
  const { coordinator, put, read, sites, settled } = await start(TWO, {
    overrides: { cache: { maxBytes: 400_000, ttlMs: 0, blockBytes: 1_000 } },
  });
  const bodyOf = (version: number): string => `${version}`.repeat(30_500);
  for (let version = 0; version < 8; version++) {
    await put("x", bodyOf(version));
    await put("y", bodyOf(version + 1));
    expect([await read("x"), await read("y")]).toEqual([bodyOf(version), bodyOf(version + 1)]);
    expect((await readAll(coordinator, "x", { start: 999, end: 2_001 })).toString()).toBe(
      bodyOf(version).slice(999, 2_001),
    );
  }
  await settled();
  await coordinator.rename(rigCtx, { from: "x", to: "z" });
  await put("x", bodyOf(9));
  expect([await read("x"), await read("z")]).toEqual([bodyOf(9), bodyOf(7)]);
  // One of several readers of the same blocks goes away; the site breaks off in the middle.
  await put("w", bodyOf(5));
  await settled();
  sites.local.truncateAfter = 10_000;
  const leaving = await (await coordinator.readObject(rigCtx, "w")).open();
  const [whole] = await Promise.all([read("w"), (async () => leaving.cancel())()]);
  expect(whole).toBe(bodyOf(5));
  // Once it is all here, the sites are not needed.
  for (const site of Object.values(sites)) site.failing.add("*");
  expect(await read("w")).toBe(bodyOf(5));
});

everywhere(
  "R6 Wrong bytes are never given out as a whole object, and a rotten copy is taken out of use and mended",
  async ({ start }) => {
    const { coordinator, later, put, read, sites, settled } = await start(TWO);
    const stateOf = async (key: string, site: string): Promise<string | undefined> =>
      (await coordinator.explain(rigCtx, key)).copies.find((copy) => copy.site === site)?.state;
    const small = "small".repeat(100);
    const large = "0123456789abcdef".repeat(40_000);
    for (const options of [{}, { md5Etag: true }]) {
      await put("small", small, options);
      await put("large", large, options);
      await put("alone", large, options);
      await settled();
      for (const rottenAt of [0, 200, 499]) {
        // Nothing was given out before the sum was known: the other copy answers.
        sites.local.rottenAt = rottenAt;
        await later();
        expect(await read("small")).toBe(small);
      }
      for (const rottenAt of [0, 300_000, large.length - 1]) {
        sites.local.rottenAt = rottenAt;
        await later();
        // Once the check has found the copy rotten, the other one is read.
        const outcome = await read("large").catch((error: GfsError) => error.code);
        expect(outcome === "DataCorrupt" ? large : outcome).toBe(large);
      }
      sites.local.rottenAt = undefined;
      await settled();
      expect(await read("large")).toBe(large);
      // What was mended is in use again.
      await expect.poll(async () => await stateOf("large", "local"), { timeout: 10_000 }).toBe("present");
      // Where no other copy is left the reader is told so, every time.
      for (const site of Object.values(sites)) site.rottenAt = 5;
      for (let time = 0; time < 3; time++) expect(await codeOf(read("alone"))).toBe("DataCorrupt");
      for (const site of Object.values(sites)) site.rottenAt = undefined;
    }
  },
);
