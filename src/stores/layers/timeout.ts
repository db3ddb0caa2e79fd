import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { ObjectBody, PartBody, StoreLayer } from "../store.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore } from "./delegate.ts";

export interface TimeoutPolicy {
  /** For one call and its answer; for the headers of a read. */
  readonly requestMs: number;
  /** Without a byte moving. A transfer as a whole may take as long as it takes. */
  readonly idleMs: number;
}

/** Completing an upload or copying at the site takes as long as the object is large. */
const LONG_CALL_FACTOR = 10;

/** Each attempt is given up when its time is over, also when the driver does not notice; the caller's deadline counts, too. */
export function timeoutLayer(policy: TimeoutPolicy, clock: Clock): StoreLayer {
  const limited = <T>(
    ctx: Ctx,
    limitMs: number,
    work: (ctx: Ctx) => Promise<T>,
    discard?: (late: T) => void,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const leftMs = ctx.deadlineMs === undefined ? limitMs : Math.min(limitMs, ctx.deadlineMs - clock.monotonicMs());
      if (leftMs <= 0) throw timedOut("The time for this request is over.");
      const bounded = new BoundedCtx(ctx);
      let over = false;
      const cancelTimer = clock.timer(leftMs, () => {
        over = true;
        const error = timedOut(`The site did not answer within ${Math.round(leftMs)} ms.`);
        bounded.abort(error);
        bounded.release();
        reject(error);
      });
      const end = (): void => {
        cancelTimer();
        bounded.release();
      };
      const answered = (result: T): void => {
        if (over) discard?.(result);
        else end();
        resolve(result);
      };
      const failed = (error: unknown): void => {
        if (!over) end();
        reject(error);
      };
      work(bounded).then(answered, failed);
    });
  const idle = <T>(work: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const cancelTimer = clock.timer(policy.idleMs, () =>
        reject(timedOut(`The site moved no byte for ${policy.idleMs} ms.`)),
      );
      const moved = (result: T): void => {
        cancelTimer();
        resolve(result);
      };
      const failed = (error: unknown): void => {
        cancelTimer();
        reject(error);
      };
      work().then(moved, failed);
    });

  async function* watched(body: ObjectBody): AsyncGenerator<Uint8Array> {
    const iterator = body.stream[Symbol.asyncIterator]();
    let finished = false;
    try {
      for (;;) {
        const next = await idle(() => iterator.next());
        if (next.done === true) {
          finished = true;
          return;
        }
        yield next.value;
      }
    } finally {
      if (!finished) {
        body.cancel();
        // A stream that hangs does not end when it is told to.
        iterator.return?.().catch(() => undefined);
      }
    }
  }

  return (inner) =>
    delegateStore(inner, {
      ...aroundCalls(inner, CALLS, (_operation, [ctx, ...rest], call) =>
        limited(ctx as Ctx, policy.requestMs, (bounded) => call([bounded, ...rest])),
      ),
      check: (ctx) => limited(ctx, policy.requestMs, (bounded) => inner.check(bounded)),
      copy: (ctx, from, to, options) =>
        limited(ctx, policy.requestMs * LONG_CALL_FACTOR, (bounded) => inner.copy(bounded, from, to, options)),
      // It waits for whatever the disk is busy with.
      flush: (ctx, key) => limited(ctx, policy.requestMs * LONG_CALL_FACTOR, (bounded) => inner.flush(bounded, key)),
      completeMultipart: (ctx, upload, parts, conditions) =>
        limited(ctx, policy.requestMs * LONG_CALL_FACTOR, (bounded) =>
          inner.completeMultipart(bounded, upload, parts, conditions),
        ),
      async get(ctx, key, options) {
        // The attempt's own signal fires only while there is no answer yet, so it never ends a body.
        const body = await limited(
          ctx,
          policy.requestMs,
          (bounded) => inner.get(bounded, key, options),
          (late) => late.cancel(),
        );
        return { ...body, stream: watched(body) };
      },
      async uploadPart(ctx, upload, partNumber, body) {
        const controller = new AbortController();
        let cancelTimer = (): void => undefined;
        /** None runs at that moment: each is canceled before the next begins. */
        const startTimer = (): void => {
          cancelTimer = clock.timer(policy.idleMs, () =>
            controller.abort(timedOut(`The site moved no byte for ${policy.idleMs} ms.`)),
          );
        };
        const ticking: PartBody = {
          sizeBytes: body.sizeBytes,
          // At once: a body that cannot be opened once more must throw where the driver can tell why.
          open: () => tick(body.open()),
        };
        const tick = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
          // How long the source needs for a chunk is not the site's fault.
          cancelTimer();
          for await (const chunk of source) {
            startTimer();
            yield chunk;
            cancelTimer();
          }
          startTimer();
        };
        startTimer();
        try {
          return await inner.uploadPart(
            { ...ctx, signal: AbortSignal.any([ctx.signal, controller.signal]) },
            upload,
            partNumber,
            ticking,
          );
        } catch (error) {
          throw controller.signal.aborted && !ctx.signal.aborted ? controller.signal.reason : error;
        } finally {
          cancelTimer();
        }
      },
      async stage(ctx, key, options) {
        const staged = await limited(
          ctx,
          policy.requestMs,
          (bounded) => inner.stage(bounded, key, options),
          (late) => void late.abort(),
        );
        return delegateStaged(staged, {
          write: (chunk) => idle(() => staged.write(chunk)),
          seal: (final) => limited(ctx, policy.requestMs * LONG_CALL_FACTOR, () => staged.seal(final)),
          commit: (commitCtx, conditions) =>
            limited(commitCtx, policy.requestMs * LONG_CALL_FACTOR, (bounded) => staged.commit(bounded, conditions)),
        });
      },
    });
}

/** Ends with its parent, or on its own. Most drivers never look at the signal, which is dear to make: it is made when one does. */
class BoundedCtx implements Ctx {
  readonly requestId: string;
  readonly log: Logger;
  readonly deadlineMs?: number;
  readonly #parent: Ctx;
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  #follow: (() => void) | undefined;

  constructor(parent: Ctx) {
    this.requestId = parent.requestId;
    this.log = parent.log;
    if (parent.deadlineMs !== undefined) this.deadlineMs = parent.deadlineMs;
    this.#parent = parent;
  }

  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    const { signal } = this.#parent;
    if (this.#reason !== undefined) controller.abort(this.#reason);
    else if (signal.aborted) controller.abort(signal.reason);
    else {
      this.#follow = () => controller.abort(signal.reason);
      signal.addEventListener("abort", this.#follow, { once: true });
    }
    return controller.signal;
  }

  get aborted(): boolean {
    return this.#reason !== undefined || (this.#parent.aborted ?? this.#parent.signal.aborted);
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }

  release(): void {
    if (this.#follow !== undefined) this.#parent.signal.removeEventListener("abort", this.#follow);
  }
}

function timedOut(message: string, cause?: unknown): GfsError {
  return new GfsError("Timeout", message, { op: "store.timeout", cause });
}
