import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { seededRandom } from "../core/ports/random.ts";
import { createMemoryStore } from "./drivers/memory/index.ts";
import { delegateStaged, delegateStore } from "./layers/delegate.ts";
import { type Probed, probeStore } from "./probe.ts";
import type { Store, StoreCapabilities } from "./store.ts";

const ctx = backgroundCtx();

/** What a probe says of a store that does one thing otherwise; a name that is not a store's is ours. */
async function probed(change: (store: Store) => Partial<Store>): Promise<Probed & { readonly inner: Store }> {
  const inner = createMemoryStore();
  const found = await probeStore(ctx, delegateStore(inner, change(inner)), seededRandom(1));
  // Whatever it found, it leaves nothing behind.
  expect((await inner.list(ctx, { limit: 10 })).objects).toEqual([]);
  return { ...found, inner };
}

const lacks = (name: keyof StoreCapabilities, { store }: Probed): boolean =>
  store.capabilities[name] === false || store.capabilities[name] === undefined;

describe("a site that", () => {
  it("lists late is used, and the probe says so", async () => {
    const { report } = await probed((store) => ({
      list: async (...args) => ({ ...(await store.list(...args)), objects: [] }),
    }));
    expect(report.findings).toEqual(["What was just written does not show in listings; they may be late."]);
  });

  it("keeps no metadata is not said to keep any", async () => {
    const found = await probed((store) => ({
      head: async (...args) => ({ ...(await store.head(...args)), metadata: {} }),
    }));
    expect([found.report.findings, lacks("userMetadata", found)]).toEqual([["Metadata of objects is not kept."], true]);
  });

  it("ignores ranges is asked for none", async () => {
    const found = await probed((store) => ({
      get: async (getCtx, key, options) => {
        const { range: _, ...rest } = options ?? {};
        return await store.get(getCtx, key, rest);
      },
    }));
    expect([found.report.findings, lacks("ranges", found)]).toEqual([["Ranges of objects can not be read."], true]);
    await expect(found.store.get(ctx, "k", { range: { start: 0, end: 1 } })).rejects.toMatchObject({
      code: "Unsupported",
    });
    await expect(found.store.get(ctx, "k")).rejects.toMatchObject({ code: "NotFound" });
  });

  it.each<[string, (store: Store) => Partial<Store>]>([
    ["loses parts", () => ({ listParts: async () => [] })],
    [
      "takes other parts than were sent",
      (store) => ({
        listParts: async (...args) => (await store.listParts(...args)).map((part) => ({ ...part, sizeBytes: 1 })),
      }),
    ],
    ["begins no uploads", () => ({ createMultipart: () => Promise.reject(new GfsError("Unsupported", "No.")) })],
    [
      "cannot complete an upload",
      () => ({ completeMultipart: () => Promise.reject(new GfsError("InvalidArgument", "No.")) }),
    ],
  ])("%s gets no uploads in parts", async (_what, change) => {
    const found = await probed(change);
    expect(found.report).toMatchObject({ multipart: false, findings: ["Uploads in parts do not work."] });
    expect(lacks("multipart", found)).toBe(true);
    await expect(found.store.createMultipart(ctx, "k", {})).rejects.toMatchObject({ code: "Unsupported" });
  });

  it("takes no uploads in parts anyway is not asked for one", async () => {
    const { multipart: _, ...capabilities } = createMemoryStore().capabilities;
    let asked = 0;
    const { report, store } = await probed(() => ({
      capabilities,
      createMultipart: () => {
        asked += 1;
        return Promise.reject(new Error("It was asked."));
      },
    }));
    expect([asked, report.conditionalCompletes, store.capabilities.conditionalWrites]).toEqual([0, true, true]);
    expect(report.findings).toEqual([]);
  });

  it("deletes whatever the condition says is found out", async () => {
    const { report } = await probed((store) => ({
      delete: async (deleteCtx, key) => await store.delete(deleteCtx, key),
    }));
    expect(report).toMatchObject({
      conditionalDeletes: false,
      findings: ["If-Match is not enforced when deleting."],
    });
  });

  it("does not enforce conditions refuses them for uploads in parts, too, and does all else", async () => {
    const { store } = await probed((inner) => ({
      completeMultipart: (completeCtx, upload, parts) => inner.completeMultipart(completeCtx, upload, parts),
    }));
    const upload = await store.createMultipart(ctx, "k", {});
    const part = await store.uploadPart(ctx, upload, 1, {
      sizeBytes: 1,
      async *open() {
        yield Buffer.from("x");
      },
    });
    for (const conditions of [{ ifNoneMatch: "*" }, { ifMatch: "e" }] as const)
      await expect(store.completeMultipart(ctx, upload, [part], conditions)).rejects.toMatchObject({
        code: "Unsupported",
      });
    expect(await store.completeMultipart(ctx, upload, [part])).toMatchObject({ sizeBytes: 1 });
  });

  it("can only be read is asked to write nothing on a condition, and keeps what else it can", async () => {
    const inner = createMemoryStore();
    const { multipart: _, ...others } = inner.capabilities;
    for (const code of ["PermissionDenied", "ReadOnly", "MethodNotAllowed"] as const) {
      const readOnly = delegateStore(inner, { stage: () => Promise.reject(new GfsError(code, "no")) });
      const { report, store } = await probeStore(ctx, readOnly, seededRandom(4));
      expect([report.writable, store.capabilities]).toEqual([false, { ...others, conditionalWrites: false }]);
    }
  });

  it.each(["stage", "write", "seal", "commit"] as const)(
    "is in trouble at the %s is no site to write to",
    async (step) => {
      const inner = createMemoryStore();
      let aborted = 0;
      const failure = new GfsError("NoSpace", "The disk is full.");
      const full = delegateStore(inner, {
        async stage(...args) {
          if (step === "stage") throw failure;
          const staged = await inner.stage(...args);
          return delegateStaged(staged, {
            [step]: () => Promise.reject(failure),
            async abort() {
              aborted += 1;
              await staged.abort();
            },
          });
        },
      });
      await expect(probeStore(ctx, full, seededRandom(6))).rejects.toMatchObject({ code: "NoSpace" });
      expect(aborted).toBe(step === "stage" ? 0 : 1);
    },
  );

  it("is away in the middle of the probe is not judged", async () => {
    for (const operation of ["head", "list", "listParts", "completeMultipart"] as const) {
      const inner = createMemoryStore();
      const away = delegateStore(inner, {
        [operation]: () => Promise.reject(new GfsError("Timeout", "The site is away.")),
      });
      await expect(probeStore(ctx, away, seededRandom(6)), operation).rejects.toMatchObject({ code: "Timeout" });
      expect((await inner.list(ctx, { limit: 10 })).objects, operation).toEqual([]);
    }
  });
});
