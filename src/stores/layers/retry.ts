import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Random } from "../../core/ports/random.ts";
import type { StoreLayer } from "../store.ts";
import { delegateStore } from "./delegate.ts";

export interface RetryPolicy {
  /** In all, the first one included; 1: no retry. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
}

/** Reads only: whether a write that lost its answer had its effect nobody here can know. */
export function retryLayer(
  policy: RetryPolicy,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): StoreLayer {
  const attempt = async <T>(ctx: Ctx, call: () => Promise<T>): Promise<T> => {
    for (let attempts = 1; ; attempts++) {
      try {
        return await call();
      } catch (error) {
        const failure = toGfsError(error);
        if (failure.retry !== "safe" || ctx.signal.aborted) throw failure;
        if (attempts >= policy.maxAttempts) throw exhausted(failure, attempts);
        // A site that wants to be left alone for longer than we would wait: the caller may know another one.
        if ((failure.retryAfterMs ?? 0) > policy.maxDelayMs) throw exhausted(failure, attempts);
        const delayMs = Math.max(delayOf(policy, attempts, random), failure.retryAfterMs ?? 0);
        if (ctx.deadlineMs !== undefined && clock.monotonicMs() + delayMs >= ctx.deadlineMs)
          throw exhausted(failure, attempts);
        ctx.log.debug("store_retry", { attempts, delayMs: Math.round(delayMs), error: failure.message });
        await sleep(clock, delayMs, ctx);
      }
    }
  };
  return (inner) =>
    delegateStore(inner, {
      head: (ctx, key) => attempt(ctx, () => inner.head(ctx, key)),
      get: (ctx, key, options) => attempt(ctx, () => inner.get(ctx, key, options)),
      list: (ctx, query) => attempt(ctx, () => inner.list(ctx, query)),
    });
}

/** Grows by the multiplier up to the limit; half of it is chance, so that many readers do not come back at once. */
export function delayOf(policy: RetryPolicy, attempts: number, random: Random): number {
  const grown = Math.min(policy.maxDelayMs, policy.initialDelayMs * policy.multiplier ** (attempts - 1));
  return grown * (0.5 + random.fraction() / 2);
}

async function sleep(clock: Clock, delayMs: number, ctx: Ctx): Promise<void> {
  try {
    await clock.sleep(delayMs, ctx.signal);
  } catch (error) {
    throw new GfsError("Canceled", "The operation was canceled.", { cause: error });
  }
}

function exhausted(failure: GfsError, attempts: number): GfsError {
  return new GfsError(failure.code, failure.message, {
    retry: "exhausted",
    context: { ...failure.context, attempts },
    cause: failure,
    ...(failure.op === undefined ? {} : { op: failure.op }),
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
  });
}
