import { describe, expect, it, onTestFinished } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { encodeKey, type Kv, type Program } from "../../kv/index.ts";
import { readMoves } from "../../namespace/index.ts";
import { bodyAt, putForeign, type Rig, rigCtx, startRig } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const ONE = { local: "primary" } as const;
const TWO = { local: "primary", cloud: "burst" } as const;
const HOUR_MS = 3_600_000;

const SEAT = encodeKey("coordinator-leader");

/** Somebody else leads, and does nothing, until `walked`. */
async function start<Name extends string>(
  roles: Parameters<typeof startTimed<Name>>[0],
): Promise<TimedRig<Name> & { walked(options?: { readonly jobs?: boolean }): Promise<void> }> {
  const rig = await startTimed(roles);
  const seat = async (holder: string | undefined): Promise<void> => {
    await rig.kv.transact(function* (tx): Program<void> {
      if (holder === undefined) tx.delete(SEAT);
      else tx.put(SEAT, Buffer.from(holder));
    });
    await rig.clock.advance(60_000);
  };
  await seat("somebody else");
  return {
    ...rig,
    async walked({ jobs = true }: { readonly jobs?: boolean } = {}) {
      await seat(undefined);
      for (let turn = 0; turn < 3; turn++) {
        await rig.clock.advance(HOUR_MS);
        if (jobs) await rig.pass();
      }
    },
  };
}

async function keysOf({ coordinator }: Rig, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await coordinator.listObjects(rigCtx, {
      prefix,
      limit: 3,
      ...(continuation === undefined ? {} : { continuation }),
    });
    expect(page.failedSites).toEqual([]);
    keys.push(...page.objects.map(({ key }) => key));
    continuation = page.continuation;
  } while (continuation !== undefined);
  return keys;
}

async function childrenOf({ coordinator }: Rig, prefix = ""): Promise<string[]> {
  const { objects, prefixes } = await coordinator.listObjects(rigCtx, { prefix, delimiter: "/", limit: 1_000 });
  return [...prefixes, ...objects.map(({ key }) => key)].sort();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error as { code: string }).code,
  );
}

const left = async (kv: Kv): Promise<number> => (await kv.view(readMoves)).length;

describe("what nobody has taken in yet below a directory that is renamed", () => {
  it("shows under the new name and not under the old one, before the walk has come by and after", async () => {
    const rig = await start(TWO);
    const { coordinator, sites, kv, put, read, clock, walked } = rig;
    await put("a/ours", "ours");
    for (const key of ["a/1", "a/c/2", "a/c/d/3", "b"]) await putForeign(sites.local, key, key);
    await putForeign(sites.cloud, "a/4", "a/4");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "z/y/" });
    const check = async (): Promise<void> => {
      expect(await keysOf(rig)).toEqual(["b", "z/y/1", "z/y/4", "z/y/c/2", "z/y/c/d/3", "z/y/ours"]);
      expect(await childrenOf(rig)).toEqual(["b", "z/"]);
      expect(await childrenOf(rig, "z/y/")).toEqual(["z/y/1", "z/y/4", "z/y/c/", "z/y/ours"]);
      expect(await keysOf(rig, "z/y/c/d")).toEqual(["z/y/c/d/3"]);
      expect(await keysOf(rig, "a/")).toEqual([]);
      expect(await codeOf(coordinator.headObject(rigCtx, "a/1"))).toBe("NotFound");
    };
    expect(await left(kv)).toBe(1);
    await check();
    expect(await read("z/y/1")).toBe("a/1");
    await check();
    await walked();
    expect(await left(kv)).toBe(0);
    await check();
    expect(await read("z/y/c/d/3")).toBe("a/c/d/3");
    expect(await bodyAt(sites.local, "a/c/d/3")).toBeUndefined();
    expect(await bodyAt(sites.local, "z/y/c/d/3")).toBe("a/c/d/3");
    expect(await bodyAt(sites.cloud, "z/y/4")).toBe("a/4");
  });

  it("is not in the way of what is written, deleted or put by another tool under the old name since", async () => {
    const rig = await start(TWO);
    const { coordinator, sites, put, read, clock, walked } = rig;
    await put("a/ours", "ours");
    for (const name of ["over", "gone", "hidden", "theirs"]) await putForeign(sites.local, `a/${name}`, `old ${name}`);
    await putForeign(sites.cloud, "a/twice", "old twice");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
    await clock.advance(1);
    await put("a/over", "new over");
    await put("a/twice", "new twice");
    await coordinator.deleteObject(rigCtx, "a/twice");
    await coordinator.deleteObject(rigCtx, "a/gone");
    await put("f", "moved here");
    await coordinator.rename(rigCtx, { from: "f", to: "a/hidden" });
    await coordinator.deleteObjects(rigCtx, [{ key: "a/hidden" }]);
    await putForeign(sites.cloud, "a/theirs", "new theirs");
    const check = async (): Promise<void> => {
      expect(await keysOf(rig)).toEqual([
        "a/over",
        "a/theirs",
        "b/gone",
        "b/hidden",
        "b/ours",
        "b/over",
        "b/theirs",
        "b/twice",
      ]);
      for (const name of ["over", "gone", "hidden", "theirs", "twice"])
        expect(await read(`b/${name}`)).toBe(`old ${name}`);
      expect([await read("a/over"), await read("a/theirs")]).toEqual(["new over", "new theirs"]);
    };
    await check();
    await walked();
    await check();
    expect([await bodyAt(sites.local, "a/over"), await bodyAt(sites.local, "b/over")]).toEqual([
      "new over",
      "old over",
    ]);
  });

  it("is deleted, written over, renamed and refused as a condition under the new name, and stays so", async () => {
    const rig = await start(TWO);
    const { coordinator, sites, put, read, clock, walked } = rig;
    await put("a/known", "known");
    for (const name of ["gone", "over", "away", "there"]) await putForeign(sites.local, `a/${name}`, `old ${name}`);
    // A file hides it, and goes.
    await putForeign(sites.cloud, "a/known", "other bytes");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
    expect(await coordinator.deleteObject(rigCtx, "b/gone")).toMatchObject({ deleted: true });
    await coordinator.deleteObject(rigCtx, "b/known");
    await put("b/over", "new over");
    await coordinator.rename(rigCtx, { from: "b/away", to: "c/away" });
    const refused = put("b/there", "no", { conditions: { ifNoneMatch: ["*"] } });
    expect(await codeOf(refused)).toBe("PreconditionFailed");
    const check = async (): Promise<void> => {
      expect(await keysOf(rig)).toEqual(["b/over", "b/there", "c/away"]);
      expect([await read("b/over"), await read("c/away"), await read("b/there")]).toEqual([
        "new over",
        "old away",
        "old there",
      ]);
      for (const key of ["b/gone", "b/known", "b/away", "a/away"])
        expect(await codeOf(coordinator.headObject(rigCtx, key))).toBe("NotFound");
    };
    await check();
    await walked();
    await check();
    expect(await bodyAt(sites.local, "a/gone")).toBeUndefined();
  });

  it("goes along with further renames, of the directory, of one in it and of one above it", async () => {
    const rig = await start(ONE);
    const { coordinator, sites, kv, put, read, clock, walked } = rig;
    await put("a/ours", "ours");
    await put("a/c/ours", "ours");
    for (const key of ["a/1", "a/c/2"]) await putForeign(sites.local, key, key);
    const rename = async (from: string, to: string): Promise<void> => {
      await clock.advance(1);
      await coordinator.rename(rigCtx, { from, to });
    };
    await rename("a/", "b/");
    await rename("b/c/", "x/d/");
    await rename("b/", "a/");
    await rename("x/", "e/");
    await clock.advance(1);
    await putForeign(sites.local, "b/1", "new");
    expect(await left(kv)).toBe(4);
    const check = async (): Promise<void> => {
      expect(await keysOf(rig)).toEqual(["a/1", "a/ours", "b/1", "e/d/2", "e/d/ours"]);
      expect(await childrenOf(rig)).toEqual(["a/", "b/", "e/"]);
      expect(await childrenOf(rig, "e/")).toEqual(["e/d/"]);
    };
    await check();
    await walked();
    expect(await left(kv)).toBe(0);
    await check();
    expect([await read("a/1"), await read("e/d/2"), await read("b/1")]).toEqual(["a/1", "a/c/2", "new"]);
  });

  it("moves where a file system renames or exchanges directories", async () => {
    const rig = await start(ONE);
    const { coordinator, sites, put, read, walked, clock } = rig;
    const { files } = coordinator;
    for (const key of ["a/ours", "b/ours"]) await put(key, key);
    for (const key of ["a/1", "b/2"]) await putForeign(sites.local, key, key);
    await clock.advance(1);
    await files.exchange(rigCtx, { one: { parent: 1 as never, name: "a" }, other: { parent: 1 as never, name: "b" } });
    await files.rename(rigCtx, { from: { parent: 1 as never, name: "a" }, to: { parent: 1 as never, name: "c" } });
    const check = async (): Promise<void> => expect(await keysOf(rig)).toEqual(["b/1", "b/ours", "c/2", "c/ours"]);
    await check();
    await walked();
    await check();
    expect([await read("b/1"), await read("c/2"), await read("c/ours")]).toEqual(["a/1", "b/2", "b/ours"]);
  });

  it("shows although the catalog has nothing more of the directory", async () => {
    const rig = await start(ONE);
    const { coordinator, sites, put, read, clock, walked } = rig;
    await put("a/ours", "ours");
    await putForeign(sites.local, "a/1", "1");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
    await coordinator.deleteObject(rigCtx, "b/ours");
    expect(await childrenOf(rig)).toEqual(["b/"]);
    await coordinator.rename(rigCtx, { from: "b/", to: "c/" });
    expect(await keysOf(rig)).toEqual(["c/1"]);
    await walked();
    expect(await read("c/1")).toBe("1");
  });

  it("waits for a site that does not answer, and holds up no other site", async () => {
    const rig = await start(TWO);
    const { coordinator, sites, kv, put, clock, walked } = rig;
    await put("a/ours", "ours");
    await putForeign(sites.cloud, "a/1", "1");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
    sites.cloud.failing.add("list");
    await walked();
    expect(await left(kv)).toBe(1);
    expect(await bodyAt(sites.local, "b/ours")).toBe("ours");
    sites.cloud.failing.clear();
    expect(await keysOf(rig)).toEqual(["b/1", "b/ours"]);
    await walked();
    expect(await left(kv)).toBe(0);
    expect(await keysOf(rig)).toEqual(["b/1", "b/ours"]);
  });

  it("is bounded: of very many renames the oldest is brought to its end first", async () => {
    const rig = await start(ONE);
    const { coordinator, sites, kv, put, clock } = rig;
    await put("d0/ours", "ours");
    for (let index = 0; index < 40; index++) {
      await putForeign(sites.local, `d${index}/${index}`, "x");
      await clock.advance(1);
      await coordinator.rename(rigCtx, { from: `d${index}/`, to: `d${index + 1}/` });
    }
    expect(await left(kv)).toBeLessThanOrEqual(32);
    expect((await keysOf(rig)).length).toBe(41);
    expect(await childrenOf(rig)).toEqual(["d40/"]);
  });
});

describe("the walk behind a rename", () => {
  it("goes on where it was after its process is gone, and nothing shows twice or not at all meanwhile", async () => {
    const rig = await start(ONE);
    const { coordinator, sites, kv, put, clock, walked } = rig;
    await coordinator.pauseAllJobs(rigCtx, true);
    await put("a/ours", "ours");
    for (let index = 0; index < 1_100; index++) await putForeign(sites.local, `a/${1_000 + index}`, "x");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
    const { list } = sites.local;
    const asked: (string | undefined)[] = [];
    const known: (boolean | undefined)[] = [];
    let isCut = true;
    sites.local.list = async (ctx, query) => {
      if (query.prefix === "a/" && query.limit === 1_000) {
        asked.push(query.after);
        known.push(query.isKnown?.("a/ours"), query.isKnown?.("a/2099"));
        if (isCut && asked.length > 1) throw new GfsError("Unavailable", "The process is gone.");
      }
      return await list(ctx, query);
    };
    await walked({ jobs: false });
    const [move] = await kv.view(readMoves);
    expect(move?.sites).toEqual({ local: "a/1999" });
    // The site need not describe what the catalog has.
    expect(known.slice(0, 2)).toEqual([true, false]);
    const namesIn = async (prefix: string): Promise<number> => {
      let found = 0;
      let continuation: string | undefined;
      do {
        const more = continuation === undefined ? {} : { continuation };
        const page = await coordinator.listObjects(rigCtx, { prefix, limit: 900, ...more });
        found += page.objects.length;
        continuation = page.continuation;
      } while (continuation !== undefined);
      return found;
    };
    expect([await namesIn("a/"), await namesIn("b/")]).toEqual([0, 1_101]);
    isCut = false;
    asked.length = 0;
    for (let turn = 0; turn < 2; turn++) await clock.advance(HOUR_MS);
    expect(asked[0]).toBe("a/1999");
    expect([await left(kv), await namesIn("a/"), await namesIn("b/")]).toEqual([0, 0, 1_101]);
  });

  it.each(Array.from({ length: 10 }, (_, index) => index + 1))(
    "shows what a tree would have, with two coordinators and whatever is done meanwhile (%i)",
    async (seed) => {
      const rig = await startTimed(ONE);
      const second = await startRig({
        kv: rig.kv,
        clock: rig.clock,
        sites: [{ name: "local", role: "primary", store: rig.sites.local }],
        overrides: { identity: "second" },
      });
      onTestFinished(async () => await second.stop());
      const random = seededRandom(seed);
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)] as T;
      const tree = new Map<string, string>();
      const names = ["a", "b", "c", "d/e"];
      const below = (prefix: string): string[] => [...tree.keys()].filter((key) => key.startsWith(prefix));
      const moveAll = (from: string, to: string): void => {
        for (const key of below(from)) {
          tree.set(to + key.slice(from.length), tree.get(key) as string);
          tree.delete(key);
        }
      };
      for (let step = 0; step < 40; step++) {
        await rig.clock.advance(1);
        const { coordinator, put } = pick([rig, second]);
        const key = `${pick(names)}/${pick(["x", "y", "s/z"])}`;
        const kind = pick(["foreign", "foreign", "put", "delete", "rename", "rename", "move", "sub"]);
        const body = `${step}`;
        if (kind === "foreign") {
          // Where bytes wait to be published another tool would write over them.
          if (tree.has(key) || (await bodyAt(rig.sites.local, key)) !== undefined) continue;
          await putForeign(rig.sites.local, key, body);
          tree.set(key, body);
        } else if (kind === "put") {
          await put(key, body);
          tree.set(key, body);
        } else if (kind === "delete") {
          await coordinator.deleteObject(rigCtx, key);
          tree.delete(key);
        } else if (kind === "move" && tree.has(key) && !tree.has("f")) {
          await coordinator.rename(rigCtx, { from: key, to: "f" });
          tree.set("f", tree.get(key) as string);
          tree.delete(key);
        } else if (kind === "rename" || kind === "sub") {
          const from = `${pick(names)}/${kind === "sub" ? "s/" : ""}`;
          const to = `${pick(names)}/`;
          if (below(from).length > 0 && below(to).length === 0 && !to.startsWith(from)) {
            await coordinator.rename(rigCtx, { from, to });
            moveAll(from, to);
          }
        }
        expect([step, kind, await keysOf(rig)]).toEqual([step, kind, [...tree.keys()].sort()]);
      }
      for (let turn = 0; turn < 3; turn++) {
        await rig.clock.advance(HOUR_MS);
        await rig.pass();
      }
      expect(await left(rig.kv)).toBe(0);
      expect(await keysOf(rig)).toEqual([...tree.keys()].sort());
      for (const [key, body] of tree) expect(await second.read(key)).toBe(body);
    },
  );
});

it("a rename of a directory asks the sites for nothing that lies below it", async () => {
  const rig = await start(ONE);
  const { coordinator, sites, put, clock } = rig;
  await put("a/ours", "ours");
  for (let index = 0; index < 50; index++) await putForeign(sites.local, `a/${index}`, "x");
  await clock.advance(1);
  let listed = 0;
  const { list } = sites.local;
  sites.local.list = async (ctx, query) => {
    const page = await list(ctx, query);
    listed += page.objects.length;
    return page;
  };
  await coordinator.rename(rigCtx, { from: "a/", to: "b/" });
  await coordinator.rename(rigCtx, { from: "b/", to: "a/" });
  expect(listed).toBe(0);
});
