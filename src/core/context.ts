import { GfsError } from "./errors.ts";
import { type Logger, silentLogger } from "./ports/log.ts";

/**
 * What travels with every operation: why it may be stopped, how long it may take, whose request it is.
 * The first argument of every operation that waits.
 */
export interface Ctx {
  /** Aborts now; whoever waits must stop and take its listener off. */
  readonly signal: AbortSignal;
  /** The same as `signal.aborted`, where making the signal is dear and nobody may ever need it. */
  readonly aborted?: boolean;
  /** On the clock's monotonic scale; absent when the caller set no limit. */
  readonly deadlineMs?: number;
  readonly requestId: string;
  readonly log: Logger;
}

const never = new AbortController().signal;

/** For work that nobody asked for: startup, background loops, tests. */
export function backgroundCtx(options: Partial<Ctx> = {}): Ctx {
  return { signal: never, requestId: "background", log: silentLogger, ...options };
}

export function throwIfAborted(ctx: Ctx, op: string): void {
  if (ctx.aborted ?? ctx.signal.aborted)
    throw new GfsError("Canceled", "The operation was canceled.", { op, cause: ctx.signal.reason });
}
