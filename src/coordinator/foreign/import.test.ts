import { expect, it } from "vitest";
import { createMemoryKv, type Kv } from "../../kv/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { putForeign, rigCtx, startRig } from "../testing/rig.ts";

it("tells of a page that it took in when all of it is durable, for which it waits once", async () => {
  const base = createMemoryKv();
  const done: string[] = [];
  const kv: Kv = {
    ...base,
    async transact(program, options) {
      const value = await base.transact(program, options);
      done.push(options?.durability ?? "durable");
      return value;
    },
    async flush() {
      await base.flush();
      done.push("flush");
    },
  };
  const store = createMemoryStore();
  const rig = await startRig({ kv, sites: [{ name: "disk", role: "primary", store }] });
  // Inodes are at hand.
  await rig.put("other", "x");
  for (let index = 0; index < 50; index++) await putForeign(store, `a/b-${index}`, "x");
  done.length = 0;
  for await (const { adopted } of rig.coordinator.importSite(rigCtx, { site: "disk" })) {
    expect(adopted).toBe(50);
    expect(done.filter((each) => each === "durable")).toEqual([]);
    expect(done.filter((each) => each === "visible").length).toBeGreaterThan(1);
    expect(done.at(-1)).toBe("flush");
  }
  await rig.stop();
});
