import { type ErrorCode, GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { BreakerState } from "../site.ts";
import type { StoreLayer } from "../store.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "./delegate.ts";

/**
 * What speaks against a site. Answers about one object (NotFound, a condition, a bad range) say nothing of its health, and a full or
 * read-only site still reads well.
 */
const COUNTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["Unavailable", "Timeout", "Overloaded", "Internal"]);

export interface BreakerConfig {
  /** So many failures in a row open it. */
  readonly threshold: number;
  /** After so long one call may try again. */
  readonly cooldownMs: number;
}

export interface Breaker {
  state(): BreakerState;
  /** Throws while open. Whoever gets a pass must end it, once, in one of three ways. */
  enter(): Pass;
  /** For work whose pass has ended: a stream that broke, a commit that failed. */
  note(error: unknown): void;
}

export interface Pass {
  succeeded(): void;
  failed(error: unknown): void;
  /** Nothing was learnt. */
  released(): void;
}

export function createBreaker(config: BreakerConfig, clock: Clock, onChange?: (state: BreakerState) => void): Breaker {
  let failures = 0;
  let openedAtMs: number | undefined;
  let probing = false;

  const cooldownLeftMs = (): number =>
    openedAtMs === undefined ? 0 : Math.max(0, openedAtMs + config.cooldownMs - clock.monotonicMs());
  const state = (): BreakerState => {
    if (openedAtMs === undefined) return "closed";
    return cooldownLeftMs() === 0 ? "half-open" : "open";
  };
  const open = (): void => {
    openedAtMs = clock.monotonicMs();
    onChange?.("open");
  };
  const fail = (): void => {
    failures += 1;
    if (openedAtMs === undefined ? failures >= config.threshold : state() === "half-open") open();
  };
  const close = (): void => {
    failures = 0;
    if (openedAtMs === undefined) return;
    openedAtMs = undefined;
    onChange?.("closed");
  };
  const counts = (error: unknown): boolean => COUNTS.has(toGfsError(error).code);

  return {
    state,
    enter() {
      const now = state();
      if (now === "open" || (now === "half-open" && probing)) throw refused(cooldownLeftMs());
      const probe = now === "half-open";
      if (probe) {
        probing = true;
        onChange?.("half-open");
      }
      let ended = false;
      const end = (outcome: () => void): void => {
        if (ended) return;
        ended = true;
        if (probe) probing = false;
        // Once the breaker has opened, calls that began before it did are old news: only the probe decides.
        if (probe || openedAtMs === undefined) outcome();
      };
      return {
        succeeded: () => end(close),
        failed: (error) => end(() => (counts(error) ? fail() : isAnswer(error) ? close() : undefined)),
        released: () => end(() => undefined),
      };
    },
    note(error) {
      if (counts(error)) fail();
    },
  };
}

/** The site answered, though not with what was hoped for. */
function isAnswer(error: unknown): boolean {
  const { code } = toGfsError(error);
  return code === "NotFound" || code === "PreconditionFailed" || code === "RangeNotSatisfiable";
}

function refused(retryAfterMs: number): GfsError {
  return new GfsError("Unavailable", "The site failed too often just now and is left alone for a while.", {
    op: "store.breaker",
    retry: "never",
    retryAfterMs,
  });
}

/** The health check passes by: it is how one sees that a site is back. */
export function breakerLayer(breaker: Breaker): StoreLayer {
  const guard = async <T>(call: () => Promise<T>, learnt: boolean): Promise<T> => {
    const pass = breaker.enter();
    try {
      const result = await call();
      if (learnt) pass.succeeded();
      return result;
    } catch (error) {
      pass.failed(error);
      throw error;
    } finally {
      pass.released();
    }
  };
  const noting = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      breaker.note(error);
      throw error;
    }
  };
  return (inner) =>
    delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (_operation, args, call) => guard(() => call(args), true)),
      async get(ctx, key, options) {
        const body = await guard(() => inner.get(ctx, key, options), true);
        const watched = async function* (): AsyncGenerator<Uint8Array> {
          try {
            yield* body.stream;
          } catch (error) {
            breaker.note(error);
            throw error;
          }
        };
        return { ...body, stream: watched() };
      },
      async stage(ctx, key, options) {
        // Opening a write may cost no call to the site at all, so it teaches nothing when it works.
        const staged = await guard(() => inner.stage(ctx, key, options), false);
        return delegateStaged(staged, {
          write: (chunk) => noting(() => staged.write(chunk)),
          seal: (final) => noting(() => staged.seal(final)),
          commit: (commitCtx, conditions) => guard(() => staged.commit(commitCtx, conditions), true),
        });
      },
    });
}
