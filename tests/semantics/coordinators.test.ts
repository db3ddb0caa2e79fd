import { expect, onTestFinished, test } from "vitest";
import { assembleCoordinator, type Coordinator } from "../../src/coordinator/index.ts";
import { assemblyFor, bodyAt, chunksOf, readAll, rigCtx, settleJobs } from "../../src/coordinator/testing/rig.ts";
import type { SiteName } from "../../src/core/ids.ts";
import { createMemoryKv } from "../../src/kv/index.ts";
import { createMemoryStore, type Site, type Store } from "../../src/stores/index.ts";
import { delegateStaged, delegateStore } from "../../src/stores/layers/delegate.ts";

/** Two coordinators over one catalog and one site; something happens when the first one's object has landed and the catalog does not know it yet. */
async function start(): Promise<{
  first: Coordinator;
  second: Coordinator;
  store: Store;
  whenLanded(work: () => Promise<unknown>): void;
}> {
  const kv = createMemoryKv();
  const store = createMemoryStore();
  let landed: (() => Promise<unknown>) | undefined;
  const told = delegateStore(store, {
    async stage(...args) {
      const staged = await store.stage(...args);
      return delegateStaged(staged, {
        async commit(...options) {
          const info = await staged.commit(...options);
          await landed?.();
          return info;
        },
      });
    },
  });
  const coordinators: Coordinator[] = [];
  // The second leads: the first waits for what happens here.
  for (const [identity, its] of [
    ["second", store],
    ["first", told],
  ] as const) {
    const site: Site = {
      name: "one" as SiteName,
      role: "primary",
      store: its,
      foreign: "merge",
      label: "memory://one",
    };
    const { coordinator } = assembleCoordinator(assemblyFor(kv, { identity }), [site]);
    await coordinator.start(new AbortController().signal);
    onTestFinished(async () => await coordinator.stop());
    coordinators.push(coordinator);
  }
  const [second, first] = coordinators as [Coordinator, Coordinator];
  return {
    first,
    second,
    store,
    whenLanded(work) {
      landed = async () => {
        landed = undefined;
        await work();
      };
    },
  };
}

const put = async (coordinator: Coordinator, body: string): Promise<unknown> =>
  await coordinator.putObject(rigCtx, { key: "d/x", body: chunksOf(Buffer.from(body)) });

test("W11 What one coordinator is about to put into the catalog no other deletes or takes in", async () => {
  const { first, second, store, whenLanded } = await start();
  const found: unknown[] = [];
  whenLanded(async () => {
    found.push(await readAll(second, "d/x").catch((error: { code: string }) => error.code));
    for await (const _ of second.importSite(rigCtx, { site: "one" }))
      found.push((await second.listObjects(rigCtx, { limit: 10 })).objects);
    found.push(await second.deleteObject(rigCtx, "d/x"));
  });
  await put(first, "new");
  expect(found).toEqual(["NotFound", [], { deleted: false, pendingSites: [] }]);
  await settleJobs(second);
  for (const coordinator of [first, second]) expect((await readAll(coordinator, "d/x")).toString()).toBe("new");
  expect(await bodyAt(store, "d/x")).toBe("new");
});

test("W11 What one coordinator is about to put into the catalog no other publishes over", async () => {
  const { first, second, store, whenLanded } = await start();
  whenLanded(async () => {
    await put(second, "the second's");
    await settleJobs(second);
    expect(await bodyAt(store, "d/x")).toBe("the first's");
  });
  await put(first, "the first's");
  for (const coordinator of [first, second]) expect((await readAll(coordinator, "d/x")).toString()).toBe("the first's");
  expect(await bodyAt(store, "d/x")).toBe("the first's");
});
