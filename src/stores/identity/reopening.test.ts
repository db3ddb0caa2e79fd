import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { delegateStore } from "../layers/delegate.ts";
import type { Store } from "../store.ts";
import { putBytes } from "../testing/scripted-store.ts";
import { reopeningStore } from "./reopening.ts";

const ctx = backgroundCtx({ requestId: "test" });

function setting() {
  const calls: string[] = [];
  const inner = createMemoryStore();
  const opened: Store = delegateStore(inner, {
    driver: "memory",
    capabilities: { ...inner.capabilities, ranges: false },
    medium: {
      stamp: async () => "the disk",
      prepare: async () => void calls.push("prepare"),
    },
    close: async () => void calls.push("close"),
  });
  let away = true;
  let held: Promise<void> | undefined;
  const opens = (name: string) => async (): Promise<Store> => {
    calls.push(name);
    await held;
    if (away && name === "open") throw new GfsError("Unavailable", "The disk is not mounted.");
    return opened;
  };
  const store = reopeningStore({
    open: opens("open"),
    make: opens("make"),
    driver: "file",
    capabilities: inner.capabilities,
  });
  return {
    calls,
    store,
    comeBack: () => void (away = false),
    hold(): () => void {
      let release = (): void => undefined;
      held = new Promise((resolve) => (release = resolve));
      return release;
    },
  };
}

describe("a store that could not be opened", () => {
  it("is tried again whenever somebody asks, and stays open once it is", async () => {
    const { calls, store, comeBack } = setting();
    await expect(store.head(ctx, "k")).rejects.toMatchObject({ message: "The disk is not mounted." });
    await expect(store.check(ctx)).rejects.toMatchObject({ code: "Unavailable" });
    expect([calls, store.driver, store.capabilities.ranges]).toEqual([["open", "open"], "file", true]);
    comeBack();
    await putBytes(store, "k", "bytes");
    expect(await store.head(ctx, "k")).toMatchObject({ sizeBytes: 5 });
    expect([calls.length, store.capabilities.ranges]).toEqual([3, false]);
  });

  it("is opened once for all who ask at the same time", async () => {
    const { calls, store, comeBack } = setting();
    comeBack();
    const asked = await Promise.allSettled([store.head(ctx, "a"), store.head(ctx, "b"), store.list(ctx, { limit: 1 })]);
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
    expect(calls).toEqual(["open"]);
  });

  it("is made when its place is prepared, and prepared as any other once it is open", async () => {
    const { calls, store, comeBack } = setting();
    await store.medium?.prepare();
    expect(calls).toEqual(["make"]);
    comeBack();
    await store.medium?.prepare();
    expect([calls, await store.medium?.stamp()]).toEqual([["make", "prepare"], "the disk"]);
  });

  it("is closed with whoever opened it, also when that comes too late", async () => {
    const { calls, store, comeBack, hold } = setting();
    comeBack();
    const release = hold();
    const late = store.head(ctx, "k");
    const closing = store.close();
    release();
    await Promise.allSettled([late, closing]);
    expect(calls.filter((call) => call === "close").length).toBeGreaterThanOrEqual(1);
  });

  it("that was never opened has nothing to close", async () => {
    const { calls, store } = setting();
    await expect(store.head(ctx, "k")).rejects.toMatchObject({ code: "Unavailable" });
    await store.close();
    expect(calls).toEqual(["open"]);
  });
});
