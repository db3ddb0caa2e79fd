import { describe, expect, it } from "vitest";
import { readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import type { GfsError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/ports/clock.ts";
import { noMetrics } from "../../src/core/ports/metrics.ts";
import { type Random, seededRandom } from "../../src/core/ports/random.ts";
import { chaosLayer, type Stacked, stackLayers, type Store, type StoreLayer } from "../../src/stores/index.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "../../src/stores/layers/delegate.ts";
import { World } from "./crash/world.ts";
import { type Fault, faultLayer, FAULTS } from "./faults/faulty-site.ts";
import { Soak } from "./faults/soak.ts";

const LONG = process.env["GLOBALFS_LONG"] === "1";
const TIMEOUT = { requestMs: 5_000, idleMs: 5_000 };
const RETRY = { maxAttempts: 3, initialDelayMs: 100, maxDelayMs: 1_000, multiplier: 2 };
const BREAKER = { threshold: 4, cooldownMs: 20_000 };
const LAYERS = ["with retry and breaker", "without retry and breaker"] as const;
const BODY = "0123456789".repeat(500);

interface Troubled {
  readonly world: World;
  /** What is wrong with a site now. */
  readonly faults: Map<string, Fault>;
}

type Roles = ConstructorParameters<typeof World>[0]["sites"];

async function begin(sites: Roles, layers: (typeof LAYERS)[number]): Promise<Troubled> {
  const faults = new Map<string, Fault>();
  const guarded = layers === "with retry and breaker" ? { retry: RETRY, breaker: BREAKER } : {};
  const wrap = (site: string, store: Store, clock: Clock): Stacked =>
    stackLayers(
      store,
      { site, timeout: TIMEOUT, verifyMaxBytes: 1_000_000, ...guarded },
      {
        clock,
        random: seededRandom(1),
        metrics: noMetrics,
        chaos: faultLayer(clock, () => faults.get(site) ?? "none"),
      },
    );
  const world = new World({ sites, wrap });
  await world.start();
  await world.put("x", BODY);
  await world.put("doomed", BODY);
  await world.settle();
  return { world, faults };
}

async function codeOf({ world }: Troubled, work: Promise<unknown>): Promise<string> {
  return await world.during(work).then(
    () => "done",
    (error: unknown) => (error as GfsError).code,
  );
}

interface Said {
  readonly read: string;
  readonly unknown: string;
  readonly put: string;
  readonly delete: string;
  readonly unlisted: readonly string[];
  readonly unhealthy: readonly string[];
}

/** Everything a user may do while a site is in trouble. */
async function tryAll(troubled: Troubled): Promise<Said> {
  const { world } = troubled;
  const { coordinator } = world.rig;
  const body = await world.during(readAll(coordinator, "x")).catch((error: unknown) => (error as GfsError).code);
  const listed = await world.during(coordinator.listObjects(rigCtx, { limit: 100 }));
  expect(listed.objects.map(({ key }) => key)).toEqual(["doomed", "x"]);
  const said = {
    read: body.toString() === BODY ? "done" : body.toString().slice(0, 40),
    unknown: await codeOf(troubled, coordinator.headObject(rigCtx, "unknown")),
    put: await codeOf(troubled, world.put("x", `new ${BODY}`)),
    delete: await codeOf(troubled, coordinator.deleteObject(rigCtx, "doomed")),
    unlisted: listed.failedSites.map(({ site }) => site),
  };
  await world.clock.advance(40_000);
  const explained = await world.during(coordinator.explain(rigCtx, "x"));
  expect(explained.exists).toBe(true);
  return { ...said, unhealthy: explained.copies.filter(({ healthy }) => !healthy).map(({ site }) => site) };
}

const NOTHING = { unlisted: [], unhealthy: [] } as const;
const ALL_DONE = { read: "done", unknown: "NotFound", put: "done", delete: "done", ...NOTHING } as const;

/** The primary is the one in trouble; another site has a copy. */
const PRIMARY: Readonly<Record<Exclude<Fault, "none">, Said>> = {
  down: {
    read: "done",
    unknown: "Unavailable",
    put: "Unavailable",
    delete: "Unavailable",
    unlisted: ["local"],
    unhealthy: ["local"],
  },
  slow: {
    read: "done",
    unknown: "Unavailable",
    put: "Timeout",
    delete: "Timeout",
    unlisted: ["local"],
    unhealthy: ["local"],
  },
  full: { ...ALL_DONE, put: "NoSpace", unhealthy: ["local"] },
  "read-only": { ...ALL_DONE, put: "ReadOnly", delete: "ReadOnly" },
  "answers 500": {
    read: "done",
    unknown: "Unavailable",
    put: "Internal",
    delete: "Internal",
    unlisted: ["local"],
    unhealthy: ["local"],
  },
  "drops midway": { ...ALL_DONE, put: "Unavailable" },
  "other bytes": ALL_DONE,
};

/** The site that gets its copies later is in trouble: users notice nothing but what a list and explain say. */
const FOLLOWER: Readonly<Record<Exclude<Fault, "none">, Said>> = {
  down: { ...ALL_DONE, unlisted: ["cloud"], unhealthy: ["cloud"] },
  slow: { ...ALL_DONE, unlisted: ["cloud"], unhealthy: ["cloud"] },
  full: { ...ALL_DONE, unhealthy: ["cloud"] },
  "read-only": ALL_DONE,
  "answers 500": { ...ALL_DONE, unlisted: ["cloud"], unhealthy: ["cloud"] },
  "drops midway": ALL_DONE,
  "other bytes": ALL_DONE,
};

/** All is well again: what was acknowledged is everywhere, what was not is nowhere. */
async function expectRecovery({ world, faults }: Troubled, said: Said): Promise<void> {
  faults.clear();
  await world.settle();
  for (const job of await world.openJobs())
    if (job.state === "failed") await world.rig.coordinator.resumeJob(rigCtx, job.id);
  await world.settle();
  const expected = new Map([["x", said.put === "done" ? `new ${BODY}` : BODY]]);
  const files = await world.files();
  expect([...files]).toEqual([...expected]);
  expect(await world.faults(files)).toEqual([]);
}

describe.each(LAYERS)("a site in trouble, %s,", (layers) => {
  it.each(FAULTS)("the primary %s: says so, loses nothing and recovers", async (fault) => {
    const troubled = await begin({ local: "primary", cloud: "burst" }, layers);
    troubled.faults.set("local", fault);
    const said = await tryAll(troubled);
    const expected = PRIMARY[fault as Exclude<Fault, "none">];
    // Once the breaker has opened, nobody waits for the site or hears what ails it.
    const codes = [expected.put, expected.delete];
    expect({ ...said, put: undefined, delete: undefined }).toEqual({ ...expected, put: undefined, delete: undefined });
    for (const [index, code] of [said.put, said.delete].entries())
      expect(
        layers === "with retry and breaker" && expected.unhealthy.length > 0
          ? [codes[index], "Unavailable"]
          : [codes[index]],
      ).toContain(code);
    await expectRecovery(troubled, said);
  });

  it.each(FAULTS)("another site %s: keeps nobody from working, and gets everything later", async (fault) => {
    const troubled = await begin({ local: "primary", cloud: "burst" }, layers);
    troubled.faults.set("cloud", fault);
    const said = await tryAll(troubled);
    expect(said).toEqual(FOLLOWER[fault as Exclude<Fault, "none">]);
    await expectRecovery(troubled, said);
  });

  it.each(FAULTS)("one of two primaries %s: a write is everywhere or nowhere", async (fault) => {
    const troubled = await begin({ local: "primary", second: "primary" }, layers);
    troubled.faults.set("second", fault);
    const said = await tryAll(troubled);
    expect(said.read).toBe("done");
    expect(said.put === "done").toBe(PRIMARY[fault as Exclude<Fault, "none">].put === "done");
    await expectRecovery(troubled, said);
  });
});

describe("the breaker", () => {
  it("keeps everybody from waiting for a dead site, shows in explain, and lets it come back", async () => {
    const { world, faults } = await begin({ local: "primary", cloud: "burst" }, "with retry and breaker");
    const { coordinator } = world.rig;
    const skipped = async (): Promise<string[]> =>
      (await coordinator.explain(rigCtx, "x")).read.skipped.map(({ site }) => site);
    faults.set("local", "slow");
    for (let read = 0; read < 2; read++) expect((await world.during(readAll(coordinator, "x"))).toString()).toBe(BODY);
    // Reads go elsewhere after the first one; a write has nowhere else to go, until the breaker is open.
    await expect(world.during(world.put("x", "new"))).rejects.toThrow("Site local did not take the write");
    expect(await skipped()).toEqual(["local"]);
    const beforeMs = world.clock.nowMs();
    expect((await readAll(coordinator, "x")).toString()).toBe(BODY);
    await expect(world.put("x", "new")).rejects.toMatchObject({ code: "Unavailable" });
    const listed = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect(listed.failedSites.map(({ site }) => site)).toEqual(["local"]);
    expect(world.clock.nowMs()).toBe(beforeMs);
    faults.clear();
    await world.clock.advance(BREAKER.cooldownMs + 1);
    await world.put("x", "new");
    expect(await skipped()).toEqual([]);
    await world.settle();
    expect(await world.faults(await world.files())).toEqual([]);
  });
});

describe("retries", () => {
  it.each([
    ["with retry and breaker", "done"],
    ["without retry and breaker", "Unavailable"],
  ] as const)("%s a read that fails once is %s", async (layers, expected) => {
    const { world, faults } = await begin({ local: "primary" }, layers);
    faults.set("local", "down");
    const reading = readAll(world.rig.coordinator, "x").then(
      () => "done",
      (error: unknown) => (error as GfsError).code,
    );
    await new Promise((resolve) => setImmediate(resolve));
    faults.clear();
    expect(await world.during(reading)).toBe(expected);
  });
});

/** Each call takes a number of turns that the seed decides. */
function delayLayer(random: Random): StoreLayer {
  const wait = async (): Promise<void> => {
    for (let turns = Math.floor(random.fraction() * 5); turns > 0; turns--)
      await (random.fraction() < 0.3 ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve());
  };
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    await wait();
    const result = await call();
    await wait();
    return result;
  };
  return (inner) =>
    delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (_operation, args, call) => around(() => call(args))),
      get: (ctx, key, options) => around(() => inner.get(ctx, key, options)),
      async stage(ctx, key, options) {
        const staged = await around(() => inner.stage(ctx, key, options));
        return delegateStaged(staged, {
          write: (chunk) => around(() => staged.write(chunk)),
          seal: (final) => around(() => staged.seal(final)),
          commit: (commitCtx, conditions) => around(() => staged.commit(commitCtx, conditions)),
        });
      },
    });
}

interface Raced {
  readonly content: string | undefined;
  readonly code: string;
  readonly beganAt: number;
  readonly endedAt: number;
}

/** Whether some order of them, in which none comes after one that began when it had ended, ends in this content. */
function canEndIn(content: string | undefined, raced: readonly Raced[]): boolean {
  return raced.some(
    (last) =>
      last.code === "done" &&
      last.content === content &&
      !raced.some((other) => other.code === "done" && other.beganAt > last.endedAt),
  );
}

describe("two PUTs and a DELETE that race on a key", () => {
  const SEEDS = LONG ? 3_000 : 150;
  it(`end in a state that some order explains, with catalog and sites agreeing (${SEEDS} interleavings)`, async () => {
    const endings = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const world = new World({
        sites: { local: "primary", second: "primary", cloud: "burst" },
        wrap: (_site, store) => ({ store: delayLayer(random)(store) }),
      });
      await world.start();
      const { coordinator } = world.rig;
      if (random.fraction() < 0.7) await world.put("x", "old");
      if (random.fraction() < 0.5) await world.settle();
      let turn = 0;
      const race = async (content: string | undefined, work: () => Promise<unknown>): Promise<Raced> => {
        for (let turns = Math.floor(random.fraction() * 12); turns > 0; turns--)
          await new Promise((resolve) => setImmediate(resolve));
        const beganAt = turn++;
        const code = await work().then(
          () => "done",
          (error: unknown) => (error as GfsError).code,
        );
        return { content, code, beganAt, endedAt: turn++ };
      };
      const seen: string[] = [];
      const look = async (): Promise<void> => {
        const body = await readAll(coordinator, "x").catch((error: unknown) => (error as GfsError).code);
        seen.push(body.toString());
      };
      const [raced] = await Promise.all([
        Promise.all([
          race("first", () => world.put("x", "first")),
          race(undefined, () => coordinator.deleteObject(rigCtx, "x")),
          race("second", () => world.put("x", "second")),
        ]),
        look(),
        look(),
      ]);
      expect(
        raced.filter(({ code }) => code !== "done" && code !== "Conflict"),
        `seed ${seed}`,
      ).toEqual([]);
      expect(seen.filter((body) => !["old", "first", "second", "NotFound", "Conflict"].includes(body))).toEqual([]);
      const files = await world.files();
      expect(canEndIn(files.get("x"), raced), `seed ${seed}: ${files.get("x")} after ${JSON.stringify(raced)}`).toBe(
        true,
      );
      await world.settle();
      expect([...(await world.files())]).toEqual([...files]);
      expect(await world.faults(files), `seed ${seed}`).toEqual([]);
      endings.add(String(files.get("x")));
    }
    expect([...endings].toSorted()).toEqual(["first", "second", "undefined"]);
  }, 60_000);
});

describe("a long run in which sites fail and recover by chance", () => {
  const SEEDS = Array.from({ length: LONG ? 200 : 8 }, (_, index) => index + 1);
  const STEPS = 120;
  const SITES = ["local", "second", "cloud"];
  const KEYS = ["a", "b", "d/c", "d/e", "d/f/g"];

  it.each(SEEDS)(
    "loses nothing and brings nothing back (seed %i)",
    async (seed) => {
      const random = seededRandom(seed);
      const chance = seededRandom(seed + 1_000);
      let calm = false;
      const wrap = (site: string, store: Store, clock: Clock): Stacked =>
        stackLayers(
          store,
          {
            site,
            timeout: TIMEOUT,
            verifyMaxBytes: 1_000_000,
            ...(seed % 2 === 0 ? { retry: RETRY, breaker: BREAKER } : {}),
          },
          {
            clock,
            random: seededRandom(seed),
            metrics: noMetrics,
            chaos: chaosLayer({
              random: { ...chance, fraction: () => (calm ? 1 : chance.fraction()) },
              errorBefore: 0.02,
              errorAfter: 0.02,
              truncatedRead: 0.05,
              corruptRead: 0.05,
            }),
          },
        );
      const world = new World({
        sites: { local: "primary", second: "primary", cloud: "burst" },
        wrap,
        transferChunkBytes: 700,
      });
      await world.start();
      const soak = new Soak(world, random, KEYS);
      for (let step = 0; step < STEPS; step++) {
        for (const site of world.away) if (random.fraction() < 0.2) world.away.delete(site);
        if (random.fraction() < 0.08) world.away.add(SITES[Math.floor(random.fraction() * SITES.length)] as string);
        if (random.fraction() < 0.3) await world.clock.advance(Math.floor(random.fraction() * 40_000));
        if (random.fraction() < 0.02) await world.start();
        await soak.step();
      }
      expect(soak.acknowledged).toBeGreaterThan(STEPS / 8);
      expect(soak.failed).toBeGreaterThan(STEPS / 20);
      calm = true;
      world.away.clear();
      const settle = async (): Promise<void> => {
        await world.settle();
        for (const job of await world.openJobs())
          if (job.state === "failed") await world.rig.coordinator.resumeJob(rigCtx, job.id);
        await world.settle();
      };
      await settle();
      await soak.verify();
      await settle();
      // Each site answers alone for a while, so that whatever lies there has been looked at.
      for (const site of world.stores.keys()) {
        for (const other of world.stores.keys()) if (other !== site) world.away.add(other);
        for (const key of KEYS) await soak.read(key);
        world.away.clear();
        await settle();
      }
      const files = await soak.verify();
      expect(await world.faults(files), soak.history.join("\n")).toEqual([]);
    },
    60_000,
  );
});
