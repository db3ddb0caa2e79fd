import { expect, test } from "vitest";
import { bodyAt } from "../../src/coordinator/testing/rig.ts";
import { delegateStore } from "../../src/stores/layers/delegate.ts";
import { GfsError } from "../../src/core/errors.ts";
import type { Store } from "../../src/stores/index.ts";
import { Gate } from "../semantics/setting.ts";
import { World } from "./crash/world.ts";

/**
 * A leader is held up between its look at a path and the copy that it makes there. Another one takes its place and publishes something newer, whose landed object
 * goes. What the first has sent arrives after all, and must not go over that.
 */
test("a leader that was held up while it published puts nothing over what its successor has published since", async () => {
  const gate = new Gate();
  let holds = false;
  const late = new Gate();
  let isLate = false;
  let landed: string | undefined;
  const world = new World({
    sites: { local: "primary" },
    wrap: (_site, store) => ({
      store: delegateStore(store, {
        // As with S3: conditions hold where an object is written, and cost something where it is copied.
        capabilities: { ...store.capabilities, conditionalCopies: false },
        async copy(ctx, from, to, options) {
          if (!holds) return await store.copy(ctx, from, to, options);
          holds = false;
          landed = from;
          await gate.pass();
          isLate = true;
          try {
            return await store.copy(ctx, from, to, options);
          } finally {
            void late.pass();
          }
        },
        async delete(ctx, key, options) {
          // The object of the version between is there for as long as its copy takes.
          if (key === landed && !isLate) throw new GfsError("Unavailable", "The site is slow.");
          await store.delete(ctx, key, options);
        },
      }),
    }),
  });
  await world.start();
  await world.put("x", "first");
  await world.settle();
  holds = true;
  await world.put("x", "second");
  await gate.reached;
  await world.start();
  await world.put("x", "third");
  await world.settle();
  const local = world.stores.get("local") as Store;
  expect(await bodyAt(local, "x")).toBe("third");
  gate.open();
  await late.reached;
  await world.settle();
  expect([[...(await world.files())], await bodyAt(local, "x")]).toEqual([[["x", "third"]], "third"]);
  expect(await world.faults(new Map([["x", "third"]]))).toEqual([]);
});
