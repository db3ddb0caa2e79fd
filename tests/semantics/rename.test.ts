import { expect } from "vitest";
import { bodyAt, readAll, type Rig, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { encodeKey, prefixRange } from "../../src/kv/index.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, fileStores, Gate, keysOf } from "./setting.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

everywhere("N1 At every moment exactly one of the two names leads to the file", async ({ start }) => {
  const setting = await start(TWO, { openStore: await fileStores() });
  const { coordinator, put, read, settled } = setting;
  await put("n/a", "1");
  await put("n/dir/a", "2");
  let done = false;
  let looks = 0;
  const names = new Set<string>();
  const looker = async (): Promise<void> => {
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- It changes while this waits.
    while (!done) {
      const keys = (await keysOf(setting, "n/")).join();
      names.add(keys);
      looks += 1;
    }
  };
  const looking = [looker(), looker()];
  for (let turn = 0; turn < 12; turn++) {
    const [from, to] = turn % 2 === 0 ? ["a", "b"] : ["b", "a"];
    await coordinator.rename(rigCtx, { from: `n/${from}`, to: `n/${to}` });
    expect([await codeOf(read(`n/${from}`)), await read(`n/${to}`)]).toEqual(["NotFound", "1"]);
    // While the objects are on their way they are at both keys.
    if (turn % 3 === 0) await settled();
  }
  await coordinator.rename(rigCtx, { from: "n/dir/", to: "n/moved/" });
  await settled();
  done = true;
  await Promise.all(looking);
  expect(looks).toBeGreaterThan(20);
  const allowed = ["n/a,n/dir/a", "n/b,n/dir/a", "n/a,n/moved/a"];
  expect([...names].filter((keys) => !allowed.includes(keys))).toEqual([]);
});

everywhere("N2 A rename of a directory takes one transaction, however many files lie below it", async ({ start }) => {
  const costOf = async (files: number): Promise<number[]> => {
    const { coordinator, kv, put, settled } = await start({ local: "primary" });
    for (let index = 0; index < files; index++) await put(`from/${index % 7}/${index}`, "x");
    await settled();
    // The objects move later, one by one.
    await coordinator.pauseAllJobs(rigCtx, true);
    const stop = new AbortController();
    const changes: number[] = [];
    const watching = (async () => {
      for await (const { events } of kv.watch(prefixRange(encodeKey("i")), { signal: stop.signal }))
        changes.push(events.length);
    })();
    await coordinator.rename(rigCtx, { from: "from/", to: "to/" });
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await watching;
    const { objects } = await coordinator.listObjects(rigCtx, { prefix: "to/", limit: 1_000 });
    expect(objects.length).toBe(files);
    return changes;
  };
  const few = await costOf(7);
  expect(few.length).toBe(1);
  expect(await costOf(300)).toEqual(few);
});

everywhere(
  "N3 The old name is free at once, and a PUT there never disturbs the renamed file's bytes",
  async ({ startTimed }) => {
    const { clock, coordinator, put, pass, read, sites } = await startTimed(TWO);
    await put("a", "first");
    await pass();
    // The object cannot be moved for now.
    for (const site of Object.values(sites)) site.failing.add("copy");
    const look = async (): Promise<string[]> => [await read("a"), await read("b")];
    await coordinator.rename(rigCtx, { from: "a", to: "b" });
    expect(await bodyAt(sites.local, "a")).toBe("first");
    await put("a", "second");
    expect(await look()).toEqual(["second", "first"]);
    await put("a", "third");
    expect(await look()).toEqual(["third", "first"]);
    await clock.advance(30_000);
    sites.local.failing.add("get");
    expect(await look()).toEqual(["third", "first"]);
    for (const site of Object.values(sites)) site.failing.clear();
    await pass();
    for (const site of Object.values(sites))
      expect([await bodyAt(site, "a"), await bodyAt(site, "b")]).toEqual(["third", "first"]);
    await coordinator.deleteObject(rigCtx, "a");
    await pass();
    expect(await read("b")).toBe("first");
  },
);

everywhere("N3 Reads of both names go on while the objects are moved", async ({ start }) => {
  const { coordinator, put, settled } = await start(TWO);
  await put("a", "first");
  await settled();
  for (let turn = 0; turn < 20; turn++) {
    const [from, to] = turn % 2 === 0 ? ["a", "b"] : ["b", "a"];
    await coordinator.rename(rigCtx, { from, to });
    await put(from, `new ${turn}`);
    // Until the objects lie where they belong.
    for (let look = 0; look < 10; look++)
      expect([await readAll(coordinator, to), await readAll(coordinator, from)].map(String)).toEqual([
        "first",
        `new ${turn}`,
      ]);
    await coordinator.deleteObject(rigCtx, from);
  }
});

everywhere(
  "N3 A PUT under the old name that began before the rename does not reach the renamed file",
  async ({ start }) => {
    const { coordinator, put, read, settled, sites } = await start({ local: "primary" });
    await put("a", "first");
    const gate = new Gate();
    const body = (async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("sec");
      await gate.pass();
      yield Buffer.from("ond");
    })();
    const putting = codeOf(put("a", "", { body }));
    await gate.reached;
    await coordinator.rename(rigCtx, { from: "a", to: "b" });
    gate.open();
    const outcome = await putting;
    expect(await read("b")).toBe("first");
    expect(["done", "Conflict"]).toContain(outcome);
    expect(await codeOf(read("a"))).toBe(outcome === "done" ? "done" : "NotFound");
    await settled();
    expect([await read("b"), await bodyAt(sites.local, "b")]).toEqual(["first", "first"]);
  },
);

everywhere("N4 An existing target is refused unless the caller asks to replace it", async ({ start }) => {
  const setting = await start(TWO);
  const { coordinator, put, read, settled, sites } = setting;
  await put("a", "1");
  await put("b", "2");
  await put("d/x", "3");
  await put("e/y", "4");
  const rename = (from: string, to: string, overwrite?: boolean): Promise<string> =>
    codeOf(coordinator.rename(rigCtx, { from, to, ...(overwrite === undefined ? {} : { overwrite }) }));
  expect([await rename("a", "b"), await rename("a", "b", false), await rename("d/", "e/")]).toEqual([
    "AlreadyExists",
    "AlreadyExists",
    "AlreadyExists",
  ]);
  expect([await read("a"), await read("b"), await read("d/x"), await read("e/y")]).toEqual(["1", "2", "3", "4"]);
  expect(await rename("d/", "e/", true)).toBe("NotEmpty");
  expect(await rename("a", "b", true)).toBe("done");
  expect([await codeOf(read("a")), await read("b")]).toEqual(["NotFound", "1"]);
  await settled();
  await expectAt(setting, sites.local, { b: "1", "d/x": "3", "e/y": "4" });
  await expectAt(setting, sites.cloud, { b: "1", "d/x": "3", "e/y": "4" });
});

async function expectAt(
  rig: Rig,
  store: Parameters<typeof bodyAt>[0],
  expected: Record<string, string>,
): Promise<void> {
  const bodies = async (): Promise<Record<string, string | undefined>> => {
    const { objects } = await store.list(rigCtx, { limit: 100 });
    return Object.fromEntries(await Promise.all(objects.map(async ({ key }) => [key, await bodyAt(store, key)])));
  };
  await expect.poll(bodies, { timeout: 15_000 }).toEqual(expected);
  await rig.settled();
}
