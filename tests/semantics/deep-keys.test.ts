import { expect } from "vitest";
import { bodyAt, putForeign, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, keysOf } from "./setting.ts";

const ROLES = { local: "primary", cloud: "burst" } as const;
/** As many levels as a key of 1,024 bytes has room for. */
const LEVELS = 511;

/** `t/a/a/.../x` */
const deep = (top: string, levels = LEVELS): string => `${top}${"/a".repeat(levels - 2)}/x`;

everywhere(
  "T15 A key of as many levels as it has room for is written, read, replaced, copied, renamed, adopted and deleted",
  async ({ start }) => {
    const setting = await start(ROLES);
    const { coordinator, put, read, settled, sites } = setting;
    const tops = async (): Promise<readonly string[]> =>
      (await coordinator.listObjects(rigCtx, { limit: 10, delimiter: "/" })).prefixes;
    await put(deep("p"), "1");
    await put(deep("p"), "2");
    await settled();
    expect([await read(deep("p")), await bodyAt(sites.local, deep("p"))]).toEqual(["2", "2"]);
    await coordinator.copyObject(rigCtx, { from: { key: deep("p") }, key: deep("c", 300) });
    await coordinator.rename(rigCtx, { from: deep("p"), to: deep("r") });
    await coordinator.rename(rigCtx, { from: "c/", to: `${"d/".repeat(200)}c/` });
    await putForeign(sites.local, deep("f"), "theirs");
    expect(await read(deep("f"))).toBe("theirs");
    await put("m/".repeat(400), "");
    expect(await tops()).toEqual(["d/", "f/", "m/", "r/"]);
    await settled();
    const keys = await keysOf(setting);
    expect(keys).toEqual([`${"d/".repeat(200)}${deep("c", 300)}`, deep("f"), "m/".repeat(400), deep("r")]);
    for (const key of keys) await coordinator.deleteObject(rigCtx, key);
    expect([await keysOf(setting), await tops()]).toEqual([[], []]);
  },
  60_000,
);

everywhere(
  "T15 A write that is refused leaves no directory behind that was made for it",
  async ({ start }) => {
    const { coordinator, put } = await start(ROLES);
    await put("q/x", "1");
    await coordinator.setQuota(rigCtx, "q", { maxInodes: 100 });
    expect(await codeOf(put(deep("q"), "1"))).toBe("QuotaExceeded");
    expect(await codeOf(put(deep("n"), "1", { conditions: { ifMatch: ["e"] } }))).toBe("PreconditionFailed");
    expect(await codeOf(coordinator.rename(rigCtx, { from: "q/x", to: deep("q") }))).toBe("QuotaExceeded");
    expect((await coordinator.listObjects(rigCtx, { limit: 10, delimiter: "/" })).prefixes).toEqual(["q/"]);
    expect((await coordinator.listObjects(rigCtx, { limit: 10, delimiter: "/", prefix: "q/" })).prefixes).toEqual([]);
  },
  60_000,
);

everywhere(
  "T15 Two writers of the same missing levels, one of which is refused, and deletes beside them, lose nothing",
  async ({ start }) => {
    const { coordinator, put, read } = await start(ROLES);
    for (let round = 0; round < 5; round++) {
      const key = deep("p", 200 + round);
      const outcomes = await Promise.all([
        codeOf(put(key, "1")),
        codeOf(put(`${key}/y`, "1", { conditions: { ifMatch: ["e"] } })),
        codeOf(put(`${key}-z`, "1").then(async () => await coordinator.deleteObject(rigCtx, `${key}-z`))),
      ]);
      expect(outcomes).toEqual(["done", "PreconditionFailed", "done"]);
      expect(await read(key)).toBe("1");
      await coordinator.deleteObject(rigCtx, key);
      expect((await coordinator.listObjects(rigCtx, { limit: 10, delimiter: "/" })).prefixes).toEqual([]);
    }
  },
  60_000,
);

everywhere(
  "T15 A history hangs as deep as its key, and goes with its last version",
  async ({ start }) => {
    const { coordinator, put, read } = await start(ROLES);
    await coordinator.createBucket(rigCtx, { name: "b" });
    await coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
    const key = deep("b");
    await coordinator.deleteObject(rigCtx, key);
    await put(key, "1");
    expect(await read(key)).toBe("1");
    await coordinator.deleteObject(rigCtx, key);
    const versions = async (): Promise<readonly string[]> =>
      (await coordinator.listVersions(rigCtx, { prefix: "b/a", limit: 10 })).entries.map(({ versionId }) => versionId);
    expect(await versions()).toHaveLength(3);
    for (const versionId of await versions()) await coordinator.deleteObject(rigCtx, key, { versionId });
    expect(await versions()).toEqual([]);
    await coordinator.deleteBucket(rigCtx, "b");
  },
  60_000,
);
