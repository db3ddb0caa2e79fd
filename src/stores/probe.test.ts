import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { seededRandom } from "../core/ports/random.ts";
import { createMemoryStore } from "./drivers/memory/index.ts";
import { delegateStaged, delegateStore } from "./layers/delegate.ts";
import { probeStore } from "./probe.ts";
import type { Store } from "./store.ts";

const ctx = backgroundCtx();

async function commit(store: Store, conditions?: { ifNoneMatch: "*" }): Promise<void> {
  const staged = await store.stage(ctx, "k");
  await staged.write(Buffer.from("x"));
  await staged.seal();
  await staged.commit(ctx, conditions);
}

/** Takes conditions politely and forgets them, as some servers do. */
function forgetful(
  store: Store,
  what: { readonly writes?: true; readonly completes?: true; readonly reads?: true },
): Store {
  return delegateStore(store, {
    async stage(...args) {
      const staged = await store.stage(...args);
      return what.writes === true
        ? delegateStaged(staged, { commit: (commitCtx) => staged.commit(commitCtx) })
        : staged;
    },
    completeMultipart: (at, upload, parts, conditions) =>
      store.completeMultipart(at, upload, parts, what.completes === true ? undefined : conditions),
    get: (at, key, options) =>
      store.get(
        at,
        key,
        what.reads === true && options?.range !== undefined
          ? { range: options.range }
          : what.reads === true
            ? {}
            : options,
      ),
  });
}

describe("probing a site", () => {
  it("confirms what a sound store claims, and leaves nothing behind", async () => {
    const inner = createMemoryStore();
    const { store, report } = await probeStore(ctx, inner, seededRandom(1));
    expect(report).toEqual({
      writable: true,
      conditionalReads: true,
      conditionalWrites: true,
      conditionalCompletes: true,
      conditionalDeletes: true,
      ranges: true,
      userMetadata: true,
      multipart: true,
      findings: [],
    });
    expect(store.capabilities).toEqual(inner.capabilities);
    expect((await inner.list(ctx, { limit: 10 })).objects).toEqual([]);
    expect(await inner.sweep(ctx, -60_000)).toBe(0);
  });

  it.each([[{ writes: true }], [{ completes: true }]] as const)(
    "finds out that conditions are forgotten, and refuses them then: %j",
    async (what) => {
      const { store, report } = await probeStore(ctx, forgetful(createMemoryStore(), what), seededRandom(2));
      expect(report.conditionalWrites && report.conditionalCompletes).toBe(false);
      expect(report.findings).toHaveLength(1);
      expect(store.capabilities.conditionalWrites).toBe(false);
      await commit(store);
      await expect(commit(store, { ifNoneMatch: "*" })).rejects.toMatchObject({ code: "Unsupported" });
      await expect(store.copy(ctx, "k", "l", { ifNoneMatch: "*" })).rejects.toMatchObject({ code: "Unsupported" });
      await expect(store.head(ctx, "l")).rejects.toMatchObject({ code: "NotFound" });
    },
  );

  it.each([
    [{ completes: true }, "PreconditionFailed", 9],
    [{ writes: true }, "Unsupported", undefined],
  ] as const)(
    "keeps conditions of copies that are written in one piece as long as those of writes hold: %j",
    async (what, code, conditionalCopyBytes) => {
      const memory = createMemoryStore();
      const capabilities = { ...memory.capabilities, conditionalCopies: false, conditionalCopyBytes: 9 };
      const inner = delegateStore(forgetful(memory, what), { capabilities });
      const { store } = await probeStore(ctx, inner, seededRandom(7));
      expect([store.capabilities.conditionalWrites, store.capabilities.conditionalCopyBytes]).toEqual([
        false,
        conditionalCopyBytes,
      ]);
      await commit(store);
      await expect(store.copy(ctx, "k", "k", { ifNoneMatch: "*" })).rejects.toMatchObject({ code });
    },
  );

  it("finds out that conditional reads are not", async () => {
    const { store, report } = await probeStore(ctx, forgetful(createMemoryStore(), { reads: true }), seededRandom(3));
    expect(report.conditionalReads).toBe(false);
    await commit(store);
    await expect(store.get(ctx, "k", { ifMatch: "x" })).rejects.toMatchObject({ code: "Unsupported" });
  });

  it("tells a site that can only be read", async () => {
    const inner = createMemoryStore();
    const readOnly = delegateStore(inner, {
      async stage() {
        throw new GfsError("PermissionDenied", "no");
      },
    });
    const { report } = await probeStore(ctx, readOnly, seededRandom(4));
    expect([report.writable, report.findings]).toEqual([false, ["The site can only be read: writing was refused."]]);
  });

  it("rejects a site that gives back something else", async () => {
    const inner = createMemoryStore();
    const lying = delegateStore(inner, {
      async get(...args) {
        const body = await inner.get(...args);
        return {
          ...body,
          stream: (async function* () {
            yield Buffer.from("something else");
          })(),
        };
      },
    });
    await expect(probeStore(ctx, lying, seededRandom(5))).rejects.toMatchObject({ code: "DataCorrupt" });
    expect((await inner.list(ctx, { limit: 10 })).objects).toEqual([]);
  });

  it("passes on that a site is in trouble, instead of drawing conclusions from it", async () => {
    const inner = createMemoryStore();
    const ill = delegateStore(inner, {
      async createMultipart() {
        throw new GfsError("Unavailable", "later");
      },
    });
    await expect(probeStore(ctx, ill, seededRandom(6))).rejects.toMatchObject({ code: "Unavailable" });
  });
});
