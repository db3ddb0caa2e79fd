import type { Ctx } from "../../../core/context.ts";
import { type GfsError, isGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Random } from "../../../core/ports/random.ts";

export interface RepeatDeps {
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_ATTEMPTS = 4;
const FIRST_PAUSE_MS = 100;
/** A site that wants to be left alone for longer: the caller may know another one. */
const MAX_PAUSE_MS = 10_000;

/**
 * Tries again what failed and may be tried again. Layers do that for reads only: whether a write that lost its answer had
 * its effect they can not know. A driver can: its request is idempotent, or it recognises its own work.
 */
export async function repeatSafely<T>(ctx: Ctx, { clock, random }: RepeatDeps, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isGfsError(error) || error.retry !== "safe" || attempt >= MAX_ATTEMPTS || ctx.signal.aborted) throw error;
      const waitMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + random.fraction());
      const pauseMs = Math.max(waitMs, error.retryAfterMs ?? 0);
      if (pauseMs > MAX_PAUSE_MS) throw error;
      if (ctx.deadlineMs !== undefined && clock.monotonicMs() + pauseMs >= ctx.deadlineMs) throw error;
      ctx.log.debug("store_repeat", { attempt, op: error.op, error: error.message });
      await pause(clock, pauseMs, ctx.signal, error);
    }
  }
}

async function pause(clock: Clock, pauseMs: number, signal: AbortSignal, failure: GfsError): Promise<void> {
  try {
    await clock.sleep(pauseMs, signal);
  } catch {
    // Told to stop while waiting: what went wrong before says more.
    throw failure;
  }
}
