import { expect, it, onTestFinished } from "vitest";
import { createMemoryKv } from "../../kv/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { flakyStore } from "../testing/flaky-store.ts";
import { putForeign, rigCtx, startRig } from "../testing/rig.ts";

it("what a request has only read in the catalog is durable before it takes an object away because of it", async () => {
  const events: string[] = [];
  const kv = createMemoryKv();
  const inner = createMemoryStore();
  const local = {
    ...flakyStore(inner),
    delete: async (...asked: Parameters<typeof inner.delete>) => {
      events.push(`delete ${asked[1]}`);
      await inner.delete(...asked);
    },
  };
  const second = flakyStore(createMemoryStore());
  const { coordinator, put, stop } = await startRig({
    kv: {
      ...kv,
      flush: async () => {
        events.push("flush");
        await kv.flush();
      },
    },
    sites: [
      { name: "local", role: "primary", store: local },
      { name: "second", role: "primary", store: second },
    ],
  });
  onTestFinished(stop);
  // A write that another site refuses takes back what nobody owns.
  second.failing.add("commit");
  events.length = 0;
  await expect(put("x", "1")).rejects.toMatchObject({ code: "Unavailable" });
  expect(events).toEqual(["flush", "delete x"]);
  // A bucket of which the catalog knows nothing has nothing but its marker.
  await putForeign(inner, "b/", "");
  events.length = 0;
  await coordinator.deleteBucket(rigCtx, "b");
  expect(events).toEqual(["flush", "delete b/"]);
});
