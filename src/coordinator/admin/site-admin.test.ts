import { describe, expect, it, onTestFinished } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { createMemoryKv, type Kv } from "../../kv/index.ts";
import { createMemoryStore, type Site, type Store } from "../../stores/index.ts";
import type { Assembly } from "../assemble.ts";
import { flakyStore } from "../testing/flaky-store.ts";
import { type Rig, rigCtx, startRig } from "../testing/rig.ts";

interface Opened {
  readonly name: string;
  readonly isRestored: boolean;
}

/** A coordinator that opens memory where it is told to open a site. */
async function start(kv: Kv = createMemoryKv(), stores: Record<string, Store> = {}) {
  const opened: Opened[] = [];
  const closed: string[] = [];
  const adopted: string[] = [];
  let away = false;
  const openSite: Assembly["openSite"] = async ({ name, role }, { isRestored }) => {
    if (away) throw new GfsError("Unavailable", "The site is away.");
    opened.push({ name, isRestored });
    const store = (stores[name] ??= createMemoryStore());
    const site: Site = {
      name: name as SiteName,
      role,
      store: { ...flakyStore(store), close: async () => void closed.push(name) },
      foreign: "merge",
      label: `memory://${name}`,
      adopt: async () => void adopted.push(name),
    };
    return site;
  };
  const rig: Rig = await startRig({ kv, sites: [{ name: "local", role: "primary" }], overrides: { openSite } });
  onTestFinished(async () => await rig.stop());
  return { ...rig, opened, closed, adopted, setAway: (value: boolean) => void (away = value) };
}

const REQUEST = { name: "added", role: "backup", uri: "memory://" } as const;

describe("a site that is added at run time", () => {
  it("is used from then on, and takes its copies", async () => {
    const { coordinator, put, settled, opened } = await start();
    expect(await coordinator.addSite(rigCtx, REQUEST)).toMatchObject({ name: "added", role: "backup", healthy: true });
    expect(opened).toEqual([{ name: "added", isRestored: false }]);
    await put("file", "bytes");
    await settled();
    const { copies } = await coordinator.explain(rigCtx, "file");
    expect(copies.map(({ site, state }) => `${site} ${state}`)).toEqual(["local present", "added present"]);
    expect((await coordinator.listSites(rigCtx)).map(({ name }) => name)).toEqual(["local", "added"]);
  });

  it("is there again after a restart, and gone for good once it was removed", async () => {
    const kv = createMemoryKv();
    const first = await start(kv);
    await first.coordinator.addSite(rigCtx, REQUEST);
    await first.stop();
    const second = await start(kv);
    expect(second.opened).toEqual([{ name: "added", isRestored: true }]);
    await second.coordinator.removeSite(rigCtx, "added");
    expect((await second.coordinator.listSites(rigCtx)).map(({ name }) => name)).toEqual(["local"]);
    await second.stop();
    expect((await start(kv)).opened).toEqual([]);
  });

  it("that cannot be opened any more keeps no coordinator from starting", async () => {
    const kv = createMemoryKv();
    const first = await start(kv);
    await first.coordinator.addSite(rigCtx, REQUEST);
    await first.stop();
    const opened: string[] = [];
    const rig = await startRig({
      kv,
      sites: [{ name: "local", role: "primary" }],
      overrides: {
        openSite: ({ name }) => {
          opened.push(name);
          return Promise.reject(new GfsError("ConfigInvalid", "Its address is not allowed any more."));
        },
      },
    });
    onTestFinished(async () => await rig.stop());
    expect([opened, (await rig.coordinator.listSites(rigCtx)).map(({ name }) => name)]).toEqual([["added"], ["local"]]);
  });

  it("is not opened twice when the configuration has one of its name by now", async () => {
    const kv = createMemoryKv();
    const first = await start(kv);
    await first.coordinator.addSite(rigCtx, { ...REQUEST, name: "second" });
    await first.stop();
    const rig = await startRig({
      kv,
      sites: [
        { name: "local", role: "primary" },
        { name: "second", role: "burst" },
      ],
    });
    onTestFinished(async () => await rig.stop());
    expect((await rig.coordinator.listSites(rigCtx)).map(({ name, role }) => `${name} ${role}`)).toEqual([
      "local primary",
      "second burst",
    ]);
  });

  it("is closed again when another of its name was quicker, and that one stays", async () => {
    const { coordinator, closed } = await start();
    const outcomes = await Promise.allSettled([
      coordinator.addSite(rigCtx, REQUEST),
      coordinator.addSite(rigCtx, REQUEST),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect([closed, (await coordinator.listSites(rigCtx)).map(({ name }) => name)]).toEqual([
      ["added"],
      ["local", "added"],
    ]);
  });

  it("is not written down when it cannot be opened", async () => {
    const kv = createMemoryKv();
    const { coordinator, setAway, stop } = await start(kv);
    setAway(true);
    await expect(coordinator.addSite(rigCtx, REQUEST)).rejects.toMatchObject({ code: "Unavailable" });
    await stop();
    expect((await start(kv)).opened).toEqual([]);
  });
});

describe("a place that the operator says is the site's", () => {
  it("is taken, and looked at at once", async () => {
    const { coordinator, adopted } = await start();
    await coordinator.addSite(rigCtx, REQUEST);
    expect(await coordinator.adoptSite(rigCtx, "added")).toMatchObject({ name: "added", healthy: true });
    expect(adopted).toEqual(["added"]);
  });
});
