import type { IncomingMessage, ServerResponse } from "node:http";
import { ulid } from "ulidx";
import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Gauge } from "../../core/ports/metrics.ts";

/** Most requests are answered at once and never look at their signal: it is made when somebody does. */
class RequestCtx implements Ctx {
  readonly requestId: string;
  readonly log: Logger;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(requestId: string, log: Logger) {
    this.requestId = requestId;
    this.log = log;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

export interface RequestEnd {
  readonly request: IncomingMessage;
  /** 499 when the client went away before the last byte. */
  readonly status: number;
  readonly elapsedMs: number;
}

/** Counts the requests that run, and gives each its context: whose end it hears of, and whose client's going away ends it. */
export interface Traffic {
  readonly running: number;
  begin(
    request: IncomingMessage,
    response: ServerResponse,
    options: { readonly requestId: string; readonly onEnd: (end: RequestEnd) => void },
  ): Ctx;
}

export function createTraffic({
  clock,
  log,
  inFlight,
}: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly inFlight: Gauge;
}): Traffic {
  let running = 0;
  return {
    get running() {
      return running;
    },
    begin(request, response, { requestId, onEnd }) {
      const ctx = new RequestCtx(requestId, log);
      const startedMs = clock.monotonicMs();
      running += 1;
      inFlight.set(running);
      response.once("close", () => {
        running -= 1;
        inFlight.set(running);
        const whole = response.writableFinished;
        if (!whole) ctx.abort(new GfsError("Canceled", "The client went away."));
        onEnd({ request, status: whole ? response.statusCode : 499, elapsedMs: clock.monotonicMs() - startedMs });
      });
      return ctx;
    },
  };
}

export const DURATION_BUCKETS_SECONDS: number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

const processId = ulid().slice(-12);
let requests = 0;

/** Unique among all processes, and cheap: a random part for the process, and a number. */
export function nextRequestId(): string {
  requests += 1;
  return `${processId}${requests.toString(36).toUpperCase().padStart(8, "0")}`;
}

const METHODS = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]);

/** For metrics and logs: one of a small closed set. */
export function methodLabel(method: string | undefined): string {
  return method !== undefined && METHODS.has(method) ? method : "OTHER";
}

/** Without the query, which may carry what no log should. */
export function pathOf(url: string): string {
  const query = url.indexOf("?");
  return (query === -1 ? url : url.slice(0, query)).slice(0, 1_200);
}
