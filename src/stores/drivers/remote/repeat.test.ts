import { beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { seededRandom } from "../../../core/ports/random.ts";
import { createFakeClock, type FakeClock } from "../../../core/testing/fake-clock.ts";
import { repeatSafely } from "./repeat.ts";

let clock: FakeClock;
let attempts: number[];
beforeEach(() => {
  clock = createFakeClock();
  attempts = [];
});

interface Trial {
  readonly error: Error;
  readonly fails?: number;
  readonly fraction?: number;
  readonly ctx?: Ctx;
}

/** What becomes of work that fails so many times, and when it was tried. */
async function outcomeOf({ error, fails = Infinity, fraction = 0.5, ctx = backgroundCtx() }: Trial): Promise<unknown> {
  const startMs = clock.monotonicMs();
  const random = { ...seededRandom(1), fraction: () => fraction };
  const outcome = repeatSafely(ctx, { clock, random }, async () => {
    attempts.push(clock.monotonicMs() - startMs);
    if (attempts.length <= fails) throw error;
    return "done";
  }).catch((failure: unknown) => failure);
  await clock.advance(20_000);
  return await outcome;
}

const away = (more: { readonly retryAfterMs?: number } = {}): GfsError =>
  new GfsError("Unavailable", "The site is away.", { retry: "safe", ...more });

describe("a request that may be sent again", () => {
  it("is, three times more at most, after pauses that double", async () => {
    const error = away();
    expect([await outcomeOf({ error }), attempts]).toEqual([error, [0, 100, 300, 700]]);
  });

  it("is after half to one and a half times as long, so that not all come at once", async () => {
    await outcomeOf({ error: away(), fraction: 0 });
    expect(attempts).toEqual([0, 50, 150, 350]);
    attempts = [];
    await outcomeOf({ error: away(), fraction: 1 });
    expect(attempts).toEqual([0, 150, 450, 1_050]);
  });

  it("is answered by the first attempt that works", async () => {
    expect([await outcomeOf({ error: away(), fails: 2 }), attempts]).toEqual(["done", [0, 100, 300]]);
  });

  it("is sent no sooner than the site says, and not at all when that is longer than ten seconds", async () => {
    await outcomeOf({ error: away({ retryAfterMs: 10_000 }), fails: 1 });
    expect(attempts).toEqual([0, 10_000]);
    attempts = [];
    const error = away({ retryAfterMs: 10_001 });
    expect([await outcomeOf({ error }), attempts]).toEqual([error, [0]]);
  });

  it.each([
    ["what would fail again", new GfsError("NotFound", "It is gone.", { retry: "never" })],
    ["what was tried enough below", new GfsError("Unavailable", "It is away.", { retry: "exhausted" })],
    ["what nobody knows", new Error("What is this?")],
  ])("is not %s", async (_what, error) => {
    expect([await outcomeOf({ error }), attempts]).toEqual([error, [0]]);
  });

  it("is not when it could not be answered before the caller's deadline", async () => {
    const error = away();
    const deadlineMs = clock.monotonicMs() + 300;
    expect([await outcomeOf({ error, ctx: backgroundCtx({ deadlineMs }) }), attempts]).toEqual([error, [0, 100]]);
  });

  it("is not once its caller has left, who hears of what went wrong before", async () => {
    const controller = new AbortController();
    const ctx = backgroundCtx({ signal: controller.signal });
    const error = away();
    clock.timer(50, () => controller.abort(new Error("The client left.")));
    expect([await outcomeOf({ error, ctx }), attempts]).toEqual([error, [0]]);
    attempts = [];
    expect([await outcomeOf({ error, ctx }), attempts]).toEqual([error, [0]]);
    expect(clock.waiting).toBe(0);
  });
});
