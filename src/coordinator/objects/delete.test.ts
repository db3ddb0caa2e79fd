import { afterEach, expect, it } from "vitest";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import { bodyAt, type Rig, rigCtx, startRig } from "../testing/rig.ts";

let rig: Rig;
afterEach(async () => {
  await rig.stop();
});

/** What was asked of a store, by operation. */
function counting(store: Store): { readonly store: Store; readonly asked: Record<string, number> } {
  const asked: Record<string, number> = {};
  const proxy = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...words: unknown[]): unknown => {
        asked[String(name)] = (asked[String(name)] ?? 0) + 1;
        return value.apply(target, words) as unknown;
      };
    },
  });
  return { store: proxy, asked };
}

it("a delete does the work at a primary once, and leaves the other sites to their jobs", async () => {
  const [local, cloud] = [counting(createMemoryStore()), counting(createMemoryStore())];
  rig = await startRig({
    sites: [
      { name: "local", role: "primary", store: local.store },
      { name: "cloud", role: "backup", store: cloud.store },
    ],
  });
  for (let index = 0; index < 20; index++) await rig.put(`data/${index}`, "x");
  await rig.settled();
  for (const each of [local, cloud]) for (const name of Object.keys(each.asked)) delete each.asked[name];
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      expect(await rig.coordinator.deleteObject(rigCtx, `data/${index}`)).toEqual({
        deleted: true,
        pendingSites: ["cloud"],
      });
    }),
  );
  await rig.settled();
  expect([local.asked, cloud.asked["delete"]]).toEqual([{ delete: 20 }, 20]);
  for (let index = 0; index < 20; index++) expect(await bodyAt(cloud.store, `data/${index}`)).toBeUndefined();
  const { jobs } = await rig.coordinator.listJobs(rigCtx, { limit: 1_000 });
  expect(jobs.filter(({ kind, site }) => kind === "remove" && site === "local")).toEqual([]);
});

it("a delete whose primary does not answer leaves its job, which ends the work", async () => {
  const local = createMemoryStore();
  let away = false;
  const store = new Proxy(local, {
    get: (target, name) => {
      if (name === "delete" && away) return async () => await Promise.reject(new Error("no route"));
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  rig = await startRig({ sites: [{ name: "local", role: "primary", store }] });
  await rig.put("x", "1");
  away = true;
  await expect(rig.coordinator.deleteObject(rigCtx, "x")).rejects.toThrow("is deleted in the namespace");
  await rig.settled();
  const waiting = (await rig.coordinator.listJobs(rigCtx, { limit: 10 })).jobs;
  expect(waiting.map(({ kind, state }) => [kind, state])).toEqual([["remove", "waiting"]]);
  expect(await bodyAt(local, "x")).toBe("1");
});
