import { expect, it, onTestFinished } from "vitest";
import type { SiteName } from "../../core/ids.ts";
import { createMemoryKv } from "../../kv/index.ts";
import { checkCatalog } from "../../namespace/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { delegateStaged, delegateStore } from "../../stores/layers/delegate.ts";
import { assembleCoordinator } from "../assemble.ts";
import type { Coordinator } from "../coordinator.ts";
import { assemblyFor, bodyAt, chunksOf, readAll, rigCtx, settleJobs } from "../testing/rig.ts";

/** Two coordinators over one catalog and one site. The leader does something when the other one's object has landed, and is not committed yet. */
async function startTwo(meanwhile: (other: Coordinator) => Promise<unknown>) {
  const kv = createMemoryKv();
  const store = createMemoryStore();
  const coordinators: Coordinator[] = [];
  let landing = true;
  const hooked = delegateStore(store, {
    async stage(...args) {
      const staged = await store.stage(...args);
      return delegateStaged(staged, {
        async commit(...options) {
          const info = await staged.commit(...options);
          if (landing) {
            landing = false;
            await meanwhile(coordinators[0] as Coordinator);
          }
          return info;
        },
      });
    },
  });
  for (const identity of ["first", "second"]) {
    const site = { name: "one" as SiteName, role: "primary" as const, store: hooked, foreign: "merge" as const };
    const { coordinator } = assembleCoordinator(assemblyFor(kv, { identity }), [{ ...site, label: "memory://one" }]);
    await coordinator.start(new AbortController().signal);
    coordinators.push(coordinator);
  }
  onTestFinished(async () => {
    for (const coordinator of coordinators) await coordinator.stop();
  });
  const [other, one] = coordinators as [Coordinator, Coordinator];
  return {
    one,
    other,
    put: async (by: Coordinator, body: string) =>
      await by.putObject(rigCtx, { key: "x", body: chunksOf(Buffer.from(body)) }),
    async look(): Promise<readonly (string | undefined)[]> {
      await settleJobs(other);
      expect((await checkCatalog(kv)).faults).toEqual([]);
      const keys = (await store.list(rigCtx, { limit: 10 })).objects.map(({ key }) => key);
      const read = await Promise.all(
        coordinators.map(async (each) => await readAll(each, "x").then(String, () => undefined)),
      );
      expect(read[0]).toBe(read[1]);
      return [read[0], await bodyAt(store, "x"), ...keys];
    },
  };
}

it("a new object outlasts the delete of another process that came before its commit", async () => {
  const { one, put, look } = await startTwo(async (other) => await other.deleteObject(rigCtx, "x"));
  await put(one, "first");
  expect((await look()).slice(0, 2)).toEqual(["first", "first"]);
  await put(one, "again");
  expect(await look()).toEqual(["again", "again", "x"]);
});

it("a new object whose path another process has claimed before its commit is kept elsewhere, and published in its turn", async () => {
  const two = await startTwo(async (other) => {
    await other.pauseAllJobs(rigCtx, true);
    await two.put(other, "of the other");
  });
  await two.put(two.one, "committed last");
  await two.other.pauseAllJobs(rigCtx, false);
  expect(await two.look()).toEqual(["committed last", "committed last", "x"]);
});

it("a new object is not published over by another process before its commit", async () => {
  const two = await startTwo(async (other) => {
    await two.put(other, "of the other");
    await settleJobs(other);
  });
  await two.put(two.one, "committed last");
  expect((await two.look()).slice(0, 2)).toEqual(["committed last", "committed last"]);
});
