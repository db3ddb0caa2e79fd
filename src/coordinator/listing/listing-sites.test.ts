import { describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { ListQuery } from "../../stores/index.ts";
import type { FlakyStore } from "../testing/flaky-store.ts";
import { putForeign, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const ONE = { local: "primary" } as const;

/** A site whose pages are as short as a test wants them. */
function shortPages(store: FlakyStore, limit: number): ListQuery[] {
  const queries: ListQuery[] = [];
  const { list } = store;
  store.list = async (ctx, query) => {
    queries.push(query);
    return await list(ctx, { ...query, limit });
  };
  return queries;
}

async function keysOf(rig: TimedRig<"local">, more: { prefix?: string; delimiter?: "/" } = {}): Promise<string[]> {
  const keys: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await rig.coordinator.listObjects(rigCtx, {
      limit: 2,
      ...more,
      ...(continuation === undefined ? {} : { continuation }),
    });
    keys.push(...page.objects.map(({ key }) => key), ...page.prefixes);
    continuation = page.continuation;
  } while (continuation !== undefined);
  return keys;
}

describe("a listing of what only a site has", () => {
  it("steps over GlobalFS's own corner of the site in one stride, however much lies there", async () => {
    const rig = await startTimed(ONE);
    for (let index = 0; index < 20; index++) await putForeign(rig.sites.local, `.globalfs/versions/${index}`, "x");
    for (const key of [".a", ".globalfs-not", "b", "c"]) await putForeign(rig.sites.local, key, "x");
    const queries = shortPages(rig.sites.local, 3);
    expect(await keysOf(rig)).toEqual([".a", ".globalfs-not", "b", "c"]);
    expect(queries.length).toBeLessThan(10);
    expect(await keysOf(rig, { delimiter: "/" })).toEqual([".a", ".globalfs-not", "b", "c"]);
  });

  it("leaves out keys that no path can name, and shows what marks a directory", async () => {
    const rig = await startTimed(ONE);
    for (const key of ["a//b", "d/", "d/x", "../up"]) await putForeign(rig.sites.local, key, "x");
    expect(await keysOf(rig)).toEqual(["d/", "d/x"]);
    expect(await keysOf(rig, { delimiter: "/" })).toEqual(["d/"]);
  });

  it("rolls up only what would show something", async () => {
    const rig = await startTimed(ONE);
    await rig.put("gone/x", "x");
    await rig.pass();
    await rig.coordinator.deleteObject(rigCtx, "gone/x");
    // As a restore of an old backup does.
    await rig.clock.advance(-0);
    await putForeign(rig.sites.local, "bad//key", "x");
    await putForeign(rig.sites.local, "good/key", "x");
    expect(await keysOf(rig, { delimiter: "/" })).toEqual(["good/"]);
  });

  it("ends with its caller", async () => {
    const rig = await startTimed(ONE);
    rig.sites.local.list = () => Promise.reject(new GfsError("Canceled", "The caller went away."));
    await expect(rig.coordinator.listObjects(rigCtx, { limit: 1 })).rejects.toMatchObject({ code: "Canceled" });
  });
});
