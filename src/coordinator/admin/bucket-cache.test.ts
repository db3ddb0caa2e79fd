import { expect, it, onTestFinished } from "vitest";
import { rigCtx, startRig } from "../testing/rig.ts";

it("a bucket stays the very same object while others are made, changed and removed, and is another once it changed itself", async () => {
  const { coordinator, put, stop } = await startRig();
  onTestFinished(stop);
  await coordinator.createBucket(rigCtx, { name: "b", documents: { policy: "{}" } });
  await put("plain/x", "x");
  const [first, plain] = [coordinator.peekBucket("b"), coordinator.peekBucket("plain")];
  await coordinator.createBucket(rigCtx, { name: "other" });
  await coordinator.changeBucket(rigCtx, "other", { documents: { policy: "{}" } });
  await coordinator.deleteBucket(rigCtx, "other");
  expect(first).toMatchObject({ name: "b", documents: { policy: "{}" } });
  expect([coordinator.peekBucket("b"), coordinator.peekBucket("plain")]).toEqual([first, plain]);
  expect(coordinator.peekBucket("b")).toBe(first);
  expect(coordinator.peekBucket("plain")).toBe(plain);
  await coordinator.changeBucket(rigCtx, "b", { documents: { policy: '{"a":1}' } });
  expect(coordinator.peekBucket("b")).toMatchObject({ documents: { policy: '{"a":1}' } });
});
