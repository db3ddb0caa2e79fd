import { expect } from "vitest";
import { bodyAt, putForeign, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { GfsError } from "../../src/core/errors.ts";
import type { FlakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, fileStores, type Setting } from "./setting.ts";
import { complete, sendPart } from "./upload-setting.ts";

const TWO_PRIMARIES = { local: "primary", second: "primary", cloud: "burst" } as const;
type Site = keyof typeof TWO_PRIMARIES;

/** Does something right after an object has landed at the site, and before the catalog hears of it. */
function whenLanded({ sites }: Setting<Site>, work: () => Promise<unknown>): void {
  const site: FlakyStore = sites.local;
  const stage = site.stage.bind(site);
  site.stage = async (...args) => {
    const staged = await stage(...args);
    return {
      ...staged,
      async commit(...options) {
        site.stage = stage;
        const info = await staged.commit(...options);
        await work();
        return info;
      },
    };
  };
}

async function keysAt(site: FlakyStore): Promise<string[]> {
  return (await site.list(rigCtx, { limit: 100 })).objects.map(({ key }) => key);
}

const WRITES = {
  PUT: async ({ put }: Setting<Site>) => void (await put("d/x", "new")),
  copy: async ({ coordinator }: Setting<Site>) =>
    void (await coordinator.copyObject(rigCtx, { from: { key: "source" }, key: "d/x" })),
  upload: async (rig: Setting<Site>) => {
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "d/x" });
    await complete(rig, upload, [await sendPart(rig, upload, 1, Buffer.from("new"))]);
  },
};

for (const [what, write] of Object.entries(WRITES)) {
  everywhere(`W9 Bytes never go over bytes: ${what}`, async ({ start }) => {
    const rig = await start(TWO_PRIMARIES, { openStore: await fileStores() });
    const { coordinator, put, read, settled, sites } = rig;
    await put("source", "new");
    await put("d/x", "old");
    await settled();
    await coordinator.pauseAllJobs(rigCtx, true);
    await write(rig);
    for (const site of Object.values(sites)) expect(await bodyAt(site, "d/x")).toBe("old");
    expect(await read("d/x")).toBe("new");
    expect((await coordinator.explain(rigCtx, "d/x")).notes.join()).toContain("a publish job brings it to d/x");
    await coordinator.pauseAllJobs(rigCtx, false);
    await settled();
    expect(await read("d/x")).toBe("new");
    for (const site of Object.values(sites)) {
      expect(await bodyAt(site, "d/x")).toBe("new");
      expect(await keysAt(site)).toEqual(["d/x", "source"]);
    }
  });
}

everywhere("W9 What another tool has put under the path since is not replaced by publishing", async ({ start }) => {
  const { coordinator, put, read, settled, sites } = await start(TWO_PRIMARIES);
  await put("x", "old");
  await settled();
  await coordinator.pauseAllJobs(rigCtx, true);
  await put("x", "new");
  await putForeign(sites.local, "x", "another tool's");
  await coordinator.pauseAllJobs(rigCtx, false);
  await settled();
  expect([await bodyAt(sites.local, "x"), await bodyAt(sites.second, "x"), await read("x")]).toEqual([
    "another tool's",
    "new",
    "new",
  ]);
});

everywhere("W9 An object of another tool that a PUT replaces goes when it is published", async ({ start }) => {
  const { put, read, settled, sites } = await start(TWO_PRIMARIES);
  await putForeign(sites.local, "x", "another tool's");
  await put("x", "new");
  expect([await read("x"), await bodyAt(sites.local, "x")]).toEqual(["new", expect.any(String)]);
  await settled();
  for (const site of [sites.local, sites.second])
    expect([await bodyAt(site, "x"), await keysAt(site)]).toEqual(["new", ["x"]]);
});

everywhere("W9 Of many versions only the newest is published, and deletes leave nothing of any", async ({ start }) => {
  const { coordinator, put, read, settled, sites } = await start(TWO_PRIMARIES);
  await put("x", "first");
  await settled();
  await coordinator.pauseAllJobs(rigCtx, true);
  for (const body of ["second", "third", "fourth"]) await put("x", body);
  await put("y", "first");
  await put("y", "second");
  await coordinator.deleteObject(rigCtx, "y");
  for (const site of [sites.local, sites.second]) expect(await bodyAt(site, "y")).toBeUndefined();
  await coordinator.pauseAllJobs(rigCtx, false);
  await settled();
  expect(await read("x")).toBe("fourth");
  for (const site of Object.values(sites)) {
    expect(await keysAt(site)).toEqual(["x"]);
    expect(await bodyAt(site, "x")).toBe("fourth");
  }
});

const RULE = { name: "r", keyPattern: "**", operations: [], targetRoles: [], priority: 0 };

everywhere("W9 A rule says when what replaces an object is published: before the answer", async ({ start }) => {
  const { coordinator, put, read, settled, sites, primaries } = await start(TWO_PRIMARIES, {
    rules: [{ ...RULE, publish: "before-ack" }],
  });
  await put("x", "old");
  await put("x", "new");
  for (const name of primaries)
    expect([await bodyAt(sites[name], "x"), await keysAt(sites[name])]).toEqual(["new", ["x"]]);
  expect((await coordinator.explain(rigCtx, "x")).write).toMatchObject({ rule: "r", publish: "before-ack" });
  await settled();
  sites.local.failing.add("copy");
  await put("x", "newest");
  expect(await read("x")).toBe("newest");
  sites.local.failing.clear();
  await settled();
  expect(await read("x")).toBe("newest");
});

everywhere("W9 A rule says when what replaces an object is published: never", async ({ start }) => {
  const { coordinator, put, read, settled, sites } = await start(TWO_PRIMARIES, {
    rules: [{ ...RULE, publish: "never" }],
  });
  await put("x", "old");
  await put("x", "new");
  await settled();
  for (const site of [sites.local, sites.second]) {
    expect(await bodyAt(site, "x")).toBeUndefined();
    expect((await keysAt(site)).map((key) => key.replace(/[0-9A-Z]{26}/, "VERSION"))).toEqual([
      ".globalfs/landed/VERSION-x",
    ]);
  }
  expect(await read("x")).toBe("new");
  expect((await coordinator.explain(rigCtx, "x")).notes.join()).toContain("no rule lets it be published under x");
  await coordinator.deleteObject(rigCtx, "x");
  await settled();
  for (const site of Object.values(sites)) expect(await keysAt(site)).toEqual([]);
});

everywhere("W3 A PUT whose directory is renamed while it lands destroys nothing", async ({ start }) => {
  const rig = await start(TWO_PRIMARIES);
  const { coordinator, put, read, settled, sites } = rig;
  await put("dir/x", "old");
  await settled();
  whenLanded(rig, async () => await coordinator.rename(rigCtx, { from: "dir/", to: "dir2/" }));
  await put("dir/x", "new");
  for (let look = 0; look < 2; look++) {
    expect([await read("dir/x"), await read("dir2/x")]).toEqual(["new", "old"]);
    await settled();
  }
  for (const site of [sites.local, sites.second]) expect([await bodyAt(site, "dir2/x")]).toEqual(["old"]);
});

everywhere("W3 A PUT that the full catalog refuses destroys nothing", async ({ start }) => {
  const { kv, put, read, settled, sites } = await start(TWO_PRIMARIES);
  await put("x", "old");
  await settled();
  const { transact } = kv;
  let left = 1;
  Object.assign(kv, {
    transact: async (...args: Parameters<typeof transact>) => {
      if (left-- > 0) throw new GfsError("NoSpace", "The catalog is full.");
      return await transact(...args);
    },
  });
  expect(await codeOf(put("x", "refused"))).toBe("NoSpace");
  for (let look = 0; look < 2; look++) {
    expect(await read("x")).toBe("old");
    for (const site of Object.values(sites))
      expect([await bodyAt(site, "x"), await keysAt(site)]).toEqual(["old", ["x"]]);
    await settled();
  }
});

const MEANWHILE: Readonly<Record<string, (rig: Setting<Site>) => Promise<unknown>>> = {
  "the rename of its file": async ({ coordinator }) => await coordinator.rename(rigCtx, { from: "d/x", to: "other" }),
  "the rename of its directory": async ({ coordinator }) => await coordinator.rename(rigCtx, { from: "d/", to: "e/" }),
  "a delete": async ({ coordinator }) => await coordinator.deleteObject(rigCtx, "d/x"),
  "the rename of another file to the key": async ({ coordinator }) =>
    await coordinator.rename(rigCtx, { from: "z", to: "d/x", overwrite: true }),
};

for (const [what, work] of Object.entries(MEANWHILE)) {
  everywhere(`W10 A PUT without conditions is not refused for ${what} meanwhile`, async ({ start }) => {
    const rig = await start(TWO_PRIMARIES);
    const { put, read, settled } = rig;
    await put("d/x", "old");
    await put("z", "another");
    await settled();
    const body = (async function* () {
      yield Buffer.from("n");
      await work(rig);
      yield Buffer.from("ew");
    })();
    await put("d/x", "", { body });
    expect(await read("d/x")).toBe("new");
    await settled();
    expect(await read("d/x")).toBe("new");
  });
}
