import { expect } from "vitest";
import { putForeign, type Rig, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { serveInProcess } from "../../src/cli/testing/served.ts";
import { everywhere } from "./matrix.ts";

const THREE = { cloud: "burst", archive: "backup", local: "primary" } as const;

async function pagesOf({ coordinator }: Rig, limit: number, between?: () => Promise<void>): Promise<string[]> {
  const keys: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await coordinator.listObjects(rigCtx, {
      limit,
      ...(continuation === undefined ? {} : { continuation }),
    });
    expect(page.objects.length).toBeLessThanOrEqual(limit);
    keys.push(...page.objects.map(({ key }) => key));
    ({ continuation } = page);
    await between?.();
  } while (continuation !== undefined);
  return keys;
}

everywhere("L1 A listing is in the order of the keys' UTF-8 bytes at any page size", async ({ start }) => {
  const setting = await start(THREE);
  // In UTF-16 the face sorts before the last one, and in most languages capitals do not come first.
  const keys = ["a", "a-b", "a/b", "a/b-c", "a/b/c", "A", "a0", "é", "z", "😀", "\uFFFD", "\uE000/x", "a b", "a\u0301"];
  for (const [index, key] of keys.entries()) {
    if (index % 3 === 0) await putForeign(setting.sites.cloud, key, "x");
    else await setting.put(key, "x");
  }
  const expected = keys.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  expect(expected.indexOf("a-b") - expected.indexOf("a")).toBeGreaterThan(0);
  for (const limit of [1, 2, 3, 5, keys.length, 1_000]) expect(await pagesOf(setting, limit)).toEqual(expected);
  const { objects, prefixes } = await setting.coordinator.listObjects(rigCtx, { delimiter: "/", limit: 1_000 });
  expect(prefixes).toEqual(["a/", "\uE000/"]);
  expect(objects.map(({ key }) => key)).toEqual(expected.filter((key) => !key.includes("/")));
});

everywhere("L2 A listing holds every object that exists for its whole duration, once", async ({ start }) => {
  const setting = await start(THREE);
  const { coordinator, put, sites } = setting;
  const stable: string[] = [];
  for (let index = 10; index < 60; index++) {
    const key = `${index % 3 === 0 ? "d/" : ""}${index}`;
    stable.push(key);
    if (index % 4 === 0) await putForeign(sites.archive, key, "x");
    else await put(key, "x");
  }
  const random = seededRandom(7);
  const passing = (): string =>
    `${random.fraction() < 0.5 ? "d/" : ""}${10 + Math.floor(random.fraction() * 50)}-passing`;
  for (const limit of [1, 3, 7]) {
    const listed = await pagesOf(setting, limit, async () => {
      await put(passing(), "y");
      await coordinator.deleteObject(rigCtx, passing());
      await coordinator.rename(rigCtx, { from: passing(), to: passing(), overwrite: true }).catch(() => undefined);
      // The catalog takes over what only a site knew, and writes some anew.
      const key = stable[Math.floor(random.fraction() * stable.length)] as string;
      if (random.fraction() < 0.5) await coordinator.headObject(rigCtx, key);
      else await put(key, "z");
    });
    expect(new Set(listed).size).toBe(listed.length);
    expect(stable.filter((key) => !listed.includes(key))).toEqual([]);
  }
});

everywhere("L3 When a site could not be listed the answer is 207 and names the site", async ({ prepare }) => {
  const { options, sites } = await prepare({ local: "primary", cloud: "burst" });
  const { rig, url, stop } = await serveInProcess(options);
  try {
    await rig.put("ours", "1");
    await putForeign(sites.cloud, "theirs", "2");
    const list = async (): Promise<unknown[]> => {
      const response = await fetch(`${url}/api/v1/objects?envelope=true`);
      const { objects, failed_sites: failed } = (await response.json()) as {
        objects: { key: string }[];
        failed_sites?: { site: string }[];
      };
      return [response.status, objects.map(({ key }) => key), (failed ?? []).map(({ site }) => site)];
    };
    expect(await list()).toEqual([200, ["ours", "theirs"], []]);
    sites.cloud.failing.add("list");
    expect(await list()).toEqual([207, ["ours"], ["cloud"]]);
  } finally {
    await stop();
  }
});

everywhere(
  "L4 The catalog wins a key over the sites; among the sites the first in routing order wins",
  async ({ start }) => {
    const setting = await start(THREE);
    const { coordinator, put, read, sites } = setting;
    await put("known", "ours");
    await setting.settled();
    await putForeign(sites.cloud, "known", "other bytes");
    await putForeign(sites.cloud, "x", "at the burst site");
    await putForeign(sites.archive, "x", "at the backup");
    await putForeign(sites.local, "x", "at the primary");
    await putForeign(sites.cloud, "y", "at the burst site");
    await putForeign(sites.archive, "y", "at the backup");
    const sizes = async (): Promise<Record<string, number>> => {
      const { objects } = await coordinator.listObjects(rigCtx, { limit: 10 });
      return Object.fromEntries(objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
    };
    const expected = { known: 4, x: "at the primary".length, y: "at the backup".length };
    expect(await sizes()).toEqual(expected);
    expect([await read("known"), await read("x"), await read("y")]).toEqual([
      "ours",
      "at the primary",
      "at the backup",
    ]);
    expect(await sizes()).toEqual(expected);
  },
);
