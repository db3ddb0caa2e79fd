import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { delegateStaged, delegateStore } from "../layers/delegate.ts";
import type { Store } from "../store.ts";
import { bytesOf, putBytes } from "../testing/scripted-store.ts";
import { isShared, MARKER_KEY, markShared, readMarker, writeMarker } from "./marker.ts";

const ctx = backgroundCtx({ requestId: "test" });
const id = (digit: string): string => digit.repeat(32);

/** As some servers are: what conditions say is not heard. */
function withoutConditions(store: Store): Store {
  return delegateStore(store, { capabilities: { ...store.capabilities, conditionalWrites: false } });
}

/** Fails at a step of a write, and tells whether the write was given up. */
function failingAt(store: Store, step: "write" | "seal" | "commit", failure: GfsError) {
  const aborted: string[] = [];
  const failing = delegateStore(store, {
    async stage(stageCtx, key, options) {
      const staged = await store.stage(stageCtx, key, options);
      return delegateStaged(staged, {
        [step]: () => Promise.reject(failure),
        async abort() {
          aborted.push(key);
          await staged.abort();
        },
      });
    },
  });
  return { failing, aborted };
}

describe("the marker of a site", () => {
  it("is what was written, and no second one is written over it", async () => {
    for (const store of [createMemoryStore(), withoutConditions(createMemoryStore())]) {
      expect(await readMarker(store, ctx)).toBeUndefined();
      expect(await writeMarker(store, ctx, id("a"))).toBe(id("a"));
      expect(await writeMarker(store, ctx, id("b"))).toBe(id("a"));
      expect(await readMarker(store, ctx)).toBe(id("a"));
      const { stream, info } = await store.get(ctx, MARKER_KEY);
      expect([JSON.parse((await bytesOf(stream)).toString()), info.contentType]).toEqual([
        { v: 1, id: id("a"), what: "the identity of a GlobalFS site; keep it" },
        "application/json",
      ]);
    }
  });

  it.each([
    ["no JSON", "{"],
    ["another version", JSON.stringify({ v: 2, id: id("a") })],
    ["an id that is none", JSON.stringify({ v: 1, id: "a" })],
    ["an id that is no text", JSON.stringify({ v: 1, id: 5 })],
    ["so much that it is no marker", JSON.stringify({ v: 1, id: id("a"), what: "x".repeat(4_096) })],
  ])("is not guessed from %s", async (_what, body) => {
    const store = createMemoryStore();
    await putBytes(store, MARKER_KEY, body);
    await expect(readMarker(store, ctx)).rejects.toMatchObject({ code: "Unavailable", retry: "never" });
  });

  it("that is too large is not read", async () => {
    const store = createMemoryStore();
    await putBytes(store, MARKER_KEY, "x".repeat(5_000));
    let canceled = 0;
    const watched = delegateStore(store, {
      async get(...args) {
        const body = await store.get(...args);
        return { ...body, cancel: () => void (canceled += 1) };
      },
    });
    await expect(readMarker(watched, ctx)).rejects.toMatchObject({ code: "Unavailable" });
    expect(canceled).toBe(1);
  });

  it("is not taken for absent when the place does not answer", async () => {
    const away = delegateStore(createMemoryStore(), {
      get: () => Promise.reject(new GfsError("Unavailable", "The site is away.")),
    });
    await expect(readMarker(away, ctx)).rejects.toMatchObject({ code: "Unavailable", message: "The site is away." });
  });

  it("whose write lost its answer is the one that lies there", async () => {
    const store = createMemoryStore();
    const losing = delegateStore(store, {
      async stage(stageCtx, key, options) {
        const staged = await store.stage(stageCtx, key, options);
        return delegateStaged(staged, {
          async commit(commitCtx, conditions) {
            await staged.commit(commitCtx, conditions);
            throw new GfsError("PreconditionFailed", "It is there already.");
          },
        });
      },
    });
    expect(await writeMarker(losing, ctx, id("a"))).toBe(id("a"));
  });

  it.each(["write", "seal", "commit"] as const)("is given up whole when the %s fails", async (step) => {
    const store = createMemoryStore();
    const { failing, aborted } = failingAt(store, step, new GfsError("NoSpace", "The disk is full."));
    await expect(writeMarker(failing, ctx, id("a"))).rejects.toMatchObject({ code: "NoSpace" });
    expect([aborted, await readMarker(store, ctx)]).toEqual([[MARKER_KEY], undefined]);
  });

  it("must show after it was written", async () => {
    const store = createMemoryStore();
    const forgetful = delegateStore(store, {
      get: () => Promise.reject(new GfsError("NotFound", "It is not there.")),
    });
    await expect(writeMarker(forgetful, ctx, id("a"))).rejects.toMatchObject({
      code: "Unavailable",
      retry: "never",
      message: expect.stringContaining("do not use it") as string,
    });
  });
});

describe("a place that more than one catalog uses", () => {
  it("says so from then on", async () => {
    const store = createMemoryStore();
    expect(await isShared(store, ctx)).toBe(false);
    await markShared(store, ctx);
    expect(await isShared(store, ctx)).toBe(true);
  });

  it("is not taken for one that nobody shares when it does not answer", async () => {
    const away = delegateStore(createMemoryStore(), {
      head: () => Promise.reject(new GfsError("Unavailable", "The site is away.")),
    });
    await expect(isShared(away, ctx)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it.each(["write", "seal", "commit"] as const)("is not said to be shared when the %s fails", async (step) => {
    const store = createMemoryStore();
    const { failing, aborted } = failingAt(store, step, new GfsError("NoSpace", "The disk is full."));
    await expect(markShared(failing, ctx)).rejects.toMatchObject({ code: "NoSpace" });
    expect([aborted.length, await isShared(store, ctx)]).toEqual([1, false]);
  });
});
