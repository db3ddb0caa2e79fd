import { expect, it } from "vitest";
import { createFakeClock } from "../testing/fake-clock.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How long each of them waits, one after the other; `restMs` pass before each. */
async function waits(
  bytesPerSecond: number,
  takes: readonly { sizeBytes: number; restMs?: number }[],
): Promise<number[]> {
  const clock = createFakeClock();
  const bucket = new TokenBucket(bytesPerSecond, clock);
  const waited: number[] = [];
  for (const { sizeBytes, restMs = 0 } of takes) {
    await clock.advance(restMs);
    const startMs = clock.monotonicMs();
    const endsMs: number[] = [];
    const taking = bucket.take(sizeBytes).then(() => endsMs.push(clock.monotonicMs()));
    for (let step = 0; step < 100 && endsMs.length === 0; step++) await clock.advance(step === 0 ? 0 : 50);
    await taking;
    waited.push(Number(endsMs[0]) - startMs);
  }
  return waited;
}

it("A tenth of a second's worth is there at once, and what is overdrawn is waited for", async () => {
  expect(await waits(1_000, [{ sizeBytes: 100 }, { sizeBytes: 50 }, { sizeBytes: 300 }])).toEqual([0, 50, 300]);
  expect(await waits(1_000, [{ sizeBytes: 101 }])).toEqual([1]);
});

it("What is not taken is earned again, a tenth of a second's worth at most", async () => {
  const takes = [
    { sizeBytes: 100 },
    { sizeBytes: 50, restMs: 50 },
    { sizeBytes: 150, restMs: 60_000 },
    { sizeBytes: 100, restMs: 50 },
  ];
  expect(await waits(1_000, takes)).toEqual([0, 0, 50, 50]);
});

it("Whoever gives up stops waiting, and what was taken stays taken", async () => {
  const clock = createFakeClock();
  const bucket = new TokenBucket(1_000, clock);
  const controller = new AbortController();
  const taking = bucket.take(1_100, controller.signal);
  controller.abort(new Error("gone"));
  await expect(taking).rejects.toThrow("gone");
  expect(clock.waiting).toBe(0);
  let done = false;
  const next = bucket.take(0).then(() => (done = true));
  await clock.advance(999);
  expect(done).toBe(false);
  await clock.advance(1);
  await next;
});
