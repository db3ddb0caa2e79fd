import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import type { ObjectBody, PartBody } from "../store.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { timeoutLayer } from "./timeout.ts";

const POLICY = { requestMs: 100, idleMs: 50 };
const ctx = backgroundCtx();
const never = new Promise<never>(() => undefined);

async function rig() {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", "bytes");
  return { clock, inner, store: timeoutLayer(POLICY, clock)(inner) };
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "no failure",
    (error: unknown) => error,
  );

describe("the timeout layer", () => {
  it("leaves nothing behind when calls end in time", async () => {
    const { clock, store } = await rig();
    await store.head(ctx, "key");
    expect((await bytesOf((await store.get(ctx, "key")).stream)).toString()).toBe("bytes");
    await putBytes(store, "other", "more bytes");
    await store.check(ctx);
    expect(clock.waiting).toBe(0);
  });

  it.each(["head", "list", "delete", "get", "check", "stage"] as const)(
    "gives up a %s whose driver hangs, and tells the driver",
    async (operation) => {
      const { clock, inner, store } = await rig();
      inner.script.before = () => never;
      const calls = {
        head: () => store.head(ctx, "key"),
        list: () => store.list(ctx, { limit: 1 }),
        delete: () => store.delete(ctx, "key"),
        get: () => store.get(ctx, "key"),
        check: () => store.check(ctx),
        stage: () => store.stage(ctx, "key"),
      };
      const failure = failureOf(calls[operation]());
      await clock.advance(POLICY.requestMs - 1);
      const signal = inner.calls.at(-1)?.ctx?.signal;
      expect(signal?.aborted).toBe(false);
      await clock.advance(1);
      expect(await failure).toMatchObject({ code: "Timeout", retry: "safe" });
      expect(signal?.aborted).toBe(true);
      expect(clock.waiting).toBe(0);
    },
  );

  it("gives work at the site more time than a small call, and not for ever", async () => {
    const { clock, inner, store } = await rig();
    const staged = await store.stage(ctx, "other");
    inner.script.before = () => never;
    const failures = Promise.all([
      failureOf(store.copy(ctx, "key", "other")),
      failureOf(store.completeMultipart(ctx, { key: "key", uploadId: "u" }, [])),
      failureOf(staged.seal()),
      failureOf(staged.commit(ctx)),
    ]);
    await clock.advance(5 * POLICY.requestMs);
    expect(clock.waiting).toBe(4);
    await clock.advance(5 * POLICY.requestMs);
    for (const failure of await failures) expect(failure).toMatchObject({ code: "Timeout" });
  });

  it("keeps to the caller's deadline when that comes first", async () => {
    const { clock, inner, store } = await rig();
    inner.script.before = () => never;
    const failure = failureOf(store.head({ ...ctx, deadlineMs: clock.monotonicMs() + 30 }, "key"));
    await clock.advance(30);
    expect(await failure).toMatchObject({ code: "Timeout" });
    const calls = inner.calls.length;
    expect(await failureOf(store.head({ ...ctx, deadlineMs: clock.monotonicMs() }, "key"))).toMatchObject({
      code: "Timeout",
    });
    expect(inner.calls.length).toBe(calls);
  });

  it("hands on what the driver says, also when it heard of the caller's end", async () => {
    const { inner, store } = await rig();
    inner.script.before = () => {
      throw new GfsError("Canceled", "The operation was canceled.");
    };
    await expect(store.head({ ...ctx, signal: AbortSignal.abort(new Error("gone")) }, "key")).rejects.toMatchObject({
      code: "Canceled",
    });
  });

  it("cancels a body that comes too late, and drops a write that opens too late", async () => {
    const { clock, inner, store } = await rig();
    let canceled = 0;
    inner.script.after = ({ operation }) =>
      operation === "get" || operation === "stage" ? clock.sleep(500) : undefined;
    inner.script.body = (body) => ({ ...body, cancel: () => void (canceled += 1) });
    const failures = [failureOf(store.get(ctx, "key")), failureOf(store.stage(ctx, "other"))];
    await clock.advance(POLICY.requestMs);
    for (const failure of failures) expect(await failure).toMatchObject({ code: "Timeout" });
    expect(canceled).toBe(0);
    await clock.advance(500);
    expect([canceled, inner.count("abort")]).toEqual([1, 1]);
  });

  it("lets a body take as long as it takes while bytes keep moving", async () => {
    const { clock, inner, store } = await rig();
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < 20; piece++) {
        await clock.sleep(POLICY.idleMs - 1);
        yield Buffer.from("x");
      }
    }
    inner.script.body = (body) => ({ ...body, stream: slow() });
    const reading = (async () => await bytesOf((await store.get(ctx, "key")).stream))();
    await clock.advance(20 * POLICY.idleMs);
    expect((await reading).length).toBe(20);
    expect(clock.waiting).toBe(0);
  });

  it("ends a body in which nothing moves, and frees it even when its stream does not listen", async () => {
    const { clock, inner, store } = await rig();
    let canceled = 0;
    async function* hanging(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("x");
      await never;
    }
    inner.script.body = (body): ObjectBody => ({ ...body, stream: hanging(), cancel: () => void (canceled += 1) });
    const seen: Uint8Array[] = [];
    const failure = failureOf(
      (async () => {
        for await (const chunk of (await store.get(ctx, "key")).stream) seen.push(chunk);
      })(),
    );
    await clock.advance(POLICY.idleMs);
    expect(await failure).toMatchObject({ code: "Timeout" });
    expect([seen.length, canceled, clock.waiting]).toEqual([1, 1, 0]);
  });

  it("does not count the time that the reader takes", async () => {
    const { clock, store } = await rig();
    const body = await store.get(ctx, "key");
    for await (const chunk of body.stream) {
      expect(chunk.byteLength).toBe(5);
      await clock.advance(10 * POLICY.idleMs);
    }
    expect(clock.waiting).toBe(0);
  });

  it("ends a write that the site does not take", async () => {
    const { clock, inner, store } = await rig();
    const staged = await store.stage(ctx, "other");
    inner.script.before = ({ operation }) => (operation === "write" ? never : undefined);
    const failure = failureOf(staged.write(Buffer.from("x")));
    await clock.advance(POLICY.idleMs);
    expect(await failure).toMatchObject({ code: "Timeout" });
  });

  it("blames the site for a part that it does not take, and never for a slow source", async () => {
    const { clock, inner, store } = await rig();
    const upload = await store.createMultipart(ctx, "large", { partSizeBytes: 10 });
    const slowSource: PartBody = {
      sizeBytes: 3,
      async *open() {
        for (const piece of ["a", "b", "c"]) {
          await clock.sleep(3 * POLICY.idleMs);
          yield Buffer.from(piece);
        }
      },
    };
    const firstAtOnce: PartBody = {
      sizeBytes: 3,
      async *open() {
        yield Buffer.from("a");
        await clock.sleep(3 * POLICY.idleMs);
        yield Buffer.from("bc");
      },
    };
    const sending = store.uploadPart(ctx, upload, 1, firstAtOnce);
    await clock.advance(20 * POLICY.idleMs);
    expect((await sending).sizeBytes).toBe(3);
    const slow = store.uploadPart(ctx, upload, 3, slowSource);
    await clock.advance(20 * POLICY.idleMs);
    expect((await slow).sizeBytes).toBe(3);
    inner.script.before = (call) =>
      new Promise((_resolve, reject) =>
        call.ctx?.signal.addEventListener("abort", () => reject(call.ctx?.signal.reason as Error)),
      );
    const failure = failureOf(store.uploadPart(ctx, upload, 2, firstAtOnce));
    await clock.advance(POLICY.idleMs);
    expect(await failure).toMatchObject({ code: "Timeout" });
    expect(clock.waiting).toBe(0);
  });

  it("tells a driver that looks at the signal when the time is over, the caller has gone, or had gone before", async () => {
    const { clock, inner, store } = await rig();
    const heard: unknown[] = [];
    inner.script.before = async ({ ctx: bounded }) =>
      await new Promise<void>((_resolve, reject) => {
        const { signal } = bounded as { signal: AbortSignal };
        // It is the same one, however often it is looked at.
        expect((bounded as { signal: AbortSignal }).signal).toBe(signal);
        const end = (): void => {
          heard.push((signal.reason as { code?: string }).code ?? (signal.reason as Error).message);
          reject(signal.reason as Error);
        };
        if (signal.aborted) end();
        else signal.addEventListener("abort", end, { once: true });
      });
    const late = failureOf(store.head(ctx, "key"));
    await clock.advance(POLICY.requestMs);
    expect(await late).toMatchObject({ code: "Timeout" });
    const leaving = new AbortController();
    const left = failureOf(store.head({ ...ctx, signal: leaving.signal }, "key"));
    leaving.abort(new Error("gone"));
    expect(await left).toMatchObject({ message: "gone" });
    const before = await failureOf(store.head({ ...ctx, signal: AbortSignal.abort(new Error("long gone")) }, "key"));
    expect(before).toMatchObject({ message: "long gone" });
    expect(heard).toEqual(["Timeout", "gone", "long gone"]);
    expect(clock.waiting).toBe(0);
  });

  it("lets a call that has ended hear nothing of its caller any more", async () => {
    const { inner, store } = await rig();
    let signal: AbortSignal | undefined;
    inner.script.before = ({ ctx: bounded }) => void (signal = bounded?.signal);
    const caller = new AbortController();
    await store.head({ ...ctx, signal: caller.signal }, "key");
    caller.abort();
    expect(signal?.aborted).toBe(false);
  });

  it("knows whether its caller has gone without a signal of its own", async () => {
    const { inner, store } = await rig();
    const seen: (boolean | undefined)[] = [];
    inner.script.before = ({ ctx: bounded }) => void seen.push(bounded?.aborted);
    await store.head(ctx, "key");
    await store.head({ ...ctx, signal: AbortSignal.abort() }, "key").catch(() => undefined);
    expect(seen).toEqual([false, true]);
  });

  it("tells the stream of a reader who stops half-way that it has ended", async () => {
    const { inner, store } = await rig();
    let ended = 0;
    async function* letters(): AsyncGenerator<Uint8Array> {
      try {
        for (const letter of "abc") yield Buffer.from(letter);
      } finally {
        ended += 1;
      }
    }
    inner.script.body = (body): ObjectBody => ({ ...body, stream: letters() });
    for await (const chunk of (await store.get(ctx, "key")).stream) if (chunk[0] === 98) break;
    expect(ended).toBe(1);
  });

  it("blames a site that has a whole part and does not answer", async () => {
    const { clock, inner, store } = await rig();
    const upload = await store.createMultipart(ctx, "large", { partSizeBytes: 10 });
    inner.script.after = ({ operation, ctx: bounded }) =>
      operation === "uploadPart"
        ? new Promise((_resolve, reject) =>
            bounded?.signal.addEventListener("abort", () => reject(bounded.signal.reason as Error)),
          )
        : undefined;
    const body: PartBody = {
      sizeBytes: 1,
      async *open() {
        yield Buffer.from("a");
      },
    };
    const failure = failureOf(store.uploadPart(ctx, upload, 1, body));
    await clock.advance(POLICY.idleMs - 1);
    expect(clock.waiting).toBe(1);
    await clock.advance(1);
    expect(await failure).toMatchObject({ code: "Timeout" });
  });

  it("blames a site that takes the first bytes of a part and then no more, also when it is sent again", async () => {
    const { clock, inner, store } = await rig();
    const upload = await store.createMultipart(ctx, "large", { partSizeBytes: 10 });
    const body: PartBody = {
      sizeBytes: 2,
      async *open() {
        yield Buffer.from("a");
        yield Buffer.from("b");
      },
    };
    const { uploadPart } = inner;
    let opened = 0;
    inner.uploadPart = async (partCtx, _upload, _number, sent) => {
      for (const attempt of ["breaks", "hangs"]) {
        const taken = await sent.open()[Symbol.asyncIterator]().next();
        opened += taken.done === true ? 0 : 1;
        if (attempt === "breaks") await clock.sleep(POLICY.idleMs - 1);
      }
      return await new Promise((_resolve, reject) =>
        partCtx.signal.addEventListener("abort", () => reject(partCtx.signal.reason as Error)),
      );
    };
    const failure = failureOf(store.uploadPart(ctx, upload, 1, body));
    await clock.advance(POLICY.idleMs - 1);
    await clock.advance(POLICY.idleMs - 1);
    expect([opened, clock.waiting]).toEqual([2, 1]);
    await clock.advance(1);
    expect(await failure).toMatchObject({ code: "Timeout" });
    expect(clock.waiting).toBe(0);
    inner.uploadPart = uploadPart;
  });

  it("hands its caller's request id, log and deadline on", async () => {
    const { clock, inner, store } = await rig();
    let seen: unknown;
    inner.script.before = ({ ctx: bounded }) => void (seen = [bounded?.requestId, bounded?.log, bounded?.deadlineMs]);
    const deadlineMs = clock.monotonicMs() + 10;
    await store.head({ ...ctx, requestId: "one", deadlineMs }, "key");
    expect(seen).toEqual(["one", ctx.log, deadlineMs]);
  });
});
