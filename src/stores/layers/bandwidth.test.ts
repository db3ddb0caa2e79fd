import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { bandwidthLayer } from "./bandwidth.ts";

const ctx = backgroundCtx();
const MIB = 1024 ** 2;

/** A tenth of a second's worth may go at once. */
async function rig(bytesPerSecond = MIB) {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", Buffer.alloc(2 * MIB, 7));
  const store = bandwidthLayer(bytesPerSecond, clock)(inner);
  const secondsOf = async (work: Promise<unknown>): Promise<number> => {
    const startMs = clock.monotonicMs();
    let endMs = Number.NaN;
    const timed = (async () => {
      await work;
      endMs = clock.monotonicMs();
    })();
    await clock.advance(60_000);
    await timed;
    return (endMs - startMs) / 1_000;
  };
  const upload = async (key: string): Promise<void> => {
    const staged = await store.stage(ctx, key);
    for (let piece = 0; piece < 16; piece++) await staged.write(Buffer.alloc(MIB / 8));
    await staged.seal();
    await staged.commit(ctx);
  };
  return { clock, inner, store, secondsOf, upload };
}

describe("the bandwidth layer", () => {
  it("holds a read to the line's rate and changes no byte", async () => {
    const { store, secondsOf } = await rig();
    const reading = (async () => await bytesOf((await store.get(ctx, "key")).stream))();
    const seconds = await secondsOf(reading);
    expect(seconds).toBeCloseTo(1.9, 1);
    expect((await reading).equals(Buffer.alloc(2 * MIB, 7))).toBe(true);
  });

  it("shares the rate among all who read at once", async () => {
    const { store, secondsOf } = await rig();
    const readers = [1, 2, 3].map(async () => (await bytesOf((await store.get(ctx, "key")).stream)).length);
    expect(await secondsOf(Promise.all(readers))).toBeCloseTo(5.9, 1);
  });

  it("holds staged writes and parts to the same rate together", async () => {
    const { store, secondsOf, upload } = await rig();
    const multipart = await store.createMultipart(ctx, "parts", { partSizeBytes: 2 * MIB });
    const part = {
      sizeBytes: 2 * MIB,
      async *open() {
        for (let piece = 0; piece < 16; piece++) yield Buffer.alloc(MIB / 8);
      },
    };
    expect(await secondsOf(Promise.all([upload("a"), store.uploadPart(ctx, multipart, 1, part)]))).toBeCloseTo(3.9, 1);
  });

  it("counts each direction by itself", async () => {
    const { store, secondsOf, upload } = await rig();
    const read = (async () => await bytesOf((await store.get(ctx, "key")).stream))();
    expect(await secondsOf(Promise.all([read, upload("a")]))).toBeCloseTo(1.9, 1);
  });

  it("stops waiting when its caller gives up, and calls it that", async () => {
    const { clock, store } = await rig(1_000);
    const controller = new AbortController();
    const body = await store.get({ ...ctx, signal: controller.signal }, "key");
    const failure = bytesOf(body.stream).catch((error: unknown) => error);
    await clock.advance(10);
    controller.abort(new Error("enough"));
    expect(await failure).toMatchObject({ code: "Canceled" });
    expect(clock.waiting).toBe(0);
  });
});
