import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { type ErrorCode, GfsError } from "../../core/errors.ts";
import { createFakeClock, type FakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import type { BreakerState } from "../site.ts";
import type { Store } from "../store.ts";
import { bytesOf, putBytes, type ScriptedStore, scriptedStore } from "../testing/scripted-store.ts";
import { type Breaker, breakerLayer, createBreaker } from "./breaker.ts";

const CONFIG = { threshold: 3, cooldownMs: 1_000 };
const ctx = backgroundCtx();

interface Rig {
  readonly clock: FakeClock;
  readonly inner: ScriptedStore;
  readonly breaker: Breaker;
  readonly store: Store;
  readonly states: BreakerState[];
  /** Every call fails with this until it is undefined. */
  fault: ErrorCode | undefined;
}

async function rig(): Promise<Rig> {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", "bytes");
  const states: BreakerState[] = [];
  const breaker = createBreaker(CONFIG, clock, (state) => states.push(state));
  const made: Rig = { clock, inner, breaker, states, store: breakerLayer(breaker)(inner), fault: undefined };
  inner.script.before = () => {
    if (made.fault !== undefined) throw new GfsError(made.fault, "The site said so.");
  };
  return made;
}

async function fail({ store }: Rig, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await store.head(ctx, "key").catch(() => undefined);
}

async function halfOpen(): Promise<Rig> {
  const made = await rig();
  made.fault = "Unavailable";
  await fail(made, CONFIG.threshold);
  made.fault = undefined;
  await made.clock.advance(CONFIG.cooldownMs);
  expect(made.breaker.state()).toBe("half-open");
  return made;
}

/** Holds the next call of the site up until it is let go. */
function gate({ inner }: Rig): { readonly open: () => void; readonly fail: (error: Error) => void } {
  const { script } = inner;
  const before = script.before;
  let open!: () => void;
  let fail!: (error: Error) => void;
  const held = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  script.before = () => {
    if (before === undefined) delete script.before;
    else script.before = before;
    return held;
  };
  return { open, fail };
}

describe("the breaker", () => {
  it("opens after so many failures in a row, and then leaves the site alone", async () => {
    const made = await rig();
    made.fault = "Unavailable";
    await fail(made, CONFIG.threshold - 1);
    expect(made.breaker.state()).toBe("closed");
    await fail(made, 1);
    expect(made.breaker.state()).toBe("open");
    const calls = made.inner.calls.length;
    await made.clock.advance(400);
    await expect(made.store.get(ctx, "key")).rejects.toMatchObject({
      code: "Unavailable",
      retry: "never",
      retryAfterMs: 600,
    });
    await expect(made.store.stage(ctx, "key")).rejects.toMatchObject({ code: "Unavailable" });
    expect(made.inner.calls.length).toBe(calls);
  });

  it("begins to count anew after a success", async () => {
    const made = await rig();
    for (let round = 0; round < 4; round++) {
      made.fault = "Timeout";
      await fail(made, CONFIG.threshold - 1);
      made.fault = undefined;
      await made.store.head(ctx, "key");
    }
    expect(made.breaker.state()).toBe("closed");
  });

  it.each(["Unavailable", "Timeout", "Overloaded", "Internal"] as const)(
    "takes %s for a failure of the site",
    async (code) => {
      const made = await rig();
      made.fault = code;
      await fail(made, CONFIG.threshold);
      expect(made.breaker.state()).toBe("open");
    },
  );

  it.each([
    "NotFound",
    "PreconditionFailed",
    "RangeNotSatisfiable",
    "Canceled",
    "InvalidKey",
    "NoSpace",
    "ReadOnly",
    "PermissionDenied",
    "Unsupported",
  ] as const)("never counts %s, however often", async (code) => {
    const made = await rig();
    made.fault = code;
    await fail(made, 5 * CONFIG.threshold);
    expect(made.breaker.state()).toBe("closed");
  });

  it("lets exactly one probe through after the cooldown, and closes when it succeeds", async () => {
    const made = await halfOpen();
    const held = gate(made);
    const before = made.inner.calls.length;
    const probe = made.store.head(ctx, "key");
    const others = await Promise.allSettled([1, 2, 3].map(() => made.store.head(ctx, "key")));
    expect(others.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(made.inner.calls.length - before).toBe(1);
    held.open();
    await probe;
    expect(made.breaker.state()).toBe("closed");
    expect(made.states).toEqual(["open", "half-open", "closed"]);
    await made.store.head(ctx, "key");
  });

  it("opens again for the whole cooldown when the probe fails", async () => {
    const made = await halfOpen();
    made.fault = "Timeout";
    await fail(made, 1);
    expect(made.breaker.state()).toBe("open");
    await made.clock.advance(CONFIG.cooldownMs - 1);
    expect(made.breaker.state()).toBe("open");
    await made.clock.advance(1);
    expect(made.breaker.state()).toBe("half-open");
    expect(made.states).toEqual(["open", "half-open", "open"]);
  });

  it.each(["Canceled", "NotFound", "PermissionDenied", "NoSpace"] as const)(
    "takes the probe back when it ends with %s",
    async (code) => {
      const made = await halfOpen();
      made.fault = code;
      await fail(made, 1);
      expect(made.breaker.state()).not.toBe("open");
      made.fault = undefined;
      await made.store.head(ctx, "key");
      expect(made.breaker.state()).toBe("closed");
    },
  );

  it("takes the probe back from a reader that never reads the body, and from a write that is never finished", async () => {
    const reading = await halfOpen();
    await reading.store.get(ctx, "key");
    await reading.store.head(ctx, "key");
    expect(reading.breaker.state()).toBe("closed");
    const writing = await halfOpen();
    await writing.store.stage(ctx, "other");
    // Opening a write need not reach the site, so it closes nothing; yet the next probe may go.
    expect(writing.breaker.state()).toBe("half-open");
    await writing.store.head(ctx, "key");
    expect(writing.breaker.state()).toBe("closed");
  });

  it("is not moved any more by calls that began before it opened", async () => {
    const made = await rig();
    const winner = gate(made);
    const late = made.store.head(ctx, "key");
    const loser = gate(made);
    const later = made.store.head(ctx, "key").catch(() => undefined);
    made.fault = "Unavailable";
    await fail(made, CONFIG.threshold);
    winner.open();
    made.fault = undefined;
    await late;
    expect(made.breaker.state()).toBe("open");
    await made.clock.advance(CONFIG.cooldownMs);
    loser.fail(new GfsError("Timeout", "Too late."));
    await later;
    expect(made.breaker.state()).toBe("half-open");
  });

  it("counts bodies and writes that break on their way", async () => {
    const made = await rig();
    made.inner.script.body = (body) => ({ ...body, stream: broken() });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("by");
      throw new GfsError("Unavailable", "The connection broke.");
    }
    const body = await made.store.get(ctx, "key");
    await expect(bytesOf(body.stream)).rejects.toMatchObject({ code: "Unavailable" });
    const staged = await made.store.stage(ctx, "other");
    made.fault = "Timeout";
    await expect(staged.write(Buffer.from("x"))).rejects.toMatchObject({ code: "Timeout" });
    await expect(staged.seal()).rejects.toMatchObject({ code: "Timeout" });
    expect(made.breaker.state()).toBe("open");
    made.fault = undefined;
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Unavailable", retry: "never" });
  });

  it("lets the health check pass while it is open", async () => {
    const made = await rig();
    made.fault = "Unavailable";
    await fail(made, CONFIG.threshold);
    made.fault = undefined;
    await made.store.check(ctx);
    expect(made.inner.count("check")).toBe(1);
  });

  it("begins to count anew after an answer about one object, and not after what says nothing of the site", async () => {
    for (const [code, state] of [
      ["NotFound", "closed"],
      ["PreconditionFailed", "closed"],
      ["RangeNotSatisfiable", "closed"],
      ["Canceled", "open"],
      ["NoSpace", "open"],
    ] as const) {
      const made = await rig();
      made.fault = "Unavailable";
      await fail(made, CONFIG.threshold - 1);
      made.fault = code;
      await fail(made, 1);
      made.fault = "Unavailable";
      await fail(made, 1);
      expect(made.breaker.state(), code).toBe(state);
    }
  });

  it("hears of the first way in which a pass ends, and of no other", async () => {
    const { breaker, clock, states } = await halfOpen();
    const pass = breaker.enter();
    pass.released();
    pass.succeeded();
    expect(breaker.state()).toBe("half-open");
    breaker.enter().succeeded();
    pass.failed(new GfsError("Unavailable", "Late."));
    expect([breaker.state(), states]).toEqual(["closed", ["open", "half-open", "half-open", "closed"]]);
    expect(clock.waiting).toBe(0);
  });

  it("says how long it leaves the site alone", async () => {
    const made = await rig();
    made.fault = "Unavailable";
    await fail(made, CONFIG.threshold);
    await made.clock.advance(CONFIG.cooldownMs - 1);
    await expect(made.store.head(ctx, "key")).rejects.toMatchObject({ retryAfterMs: 1, op: "store.breaker" });
    await made.clock.advance(1);
    expect(made.breaker.state()).toBe("half-open");
  });
});
