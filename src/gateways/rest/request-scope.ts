import type { IncomingMessage, ServerResponse } from "node:http";
import { ulid } from "ulidx";
import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import { isLoopbackHost, type Keyring } from "../../security/index.ts";

/** What every request passes before anything else, whichever way it is handled: an id, a key, a place among those that run, and a line in the log. */
export interface Door {
  /** Throws `Unauthenticated`, `PermissionDenied` or `Overloaded`. */
  admit(scope: RequestScope, route: { readonly open: boolean }): void;
  begin(request: IncomingMessage, response: ServerResponse, route: string): RequestScope;
  readonly running: number;
}

export interface RequestScope {
  readonly ctx: Ctx;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: string;
}

export interface DoorDeps {
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxConcurrentRequests: number;
}

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;
const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function createDoor({ keyring, clock, log, metrics, maxConcurrentRequests }: DoorDeps): Door {
  const total = metrics.counter({
    name: "globalfs_http_requests_total",
    help: "HTTP requests.",
    labels: ["route", "method", "status"],
  });
  const duration = metrics.histogram({
    name: "globalfs_http_request_duration_seconds",
    help: "How long HTTP requests took, to the last byte.",
    labels: ["route", "method"],
    buckets: BUCKETS_SECONDS,
  });
  const inFlight = metrics.gauge({ name: "globalfs_http_requests_in_flight", help: "HTTP requests that run now." });
  let running = 0;

  return {
    get running() {
      return running;
    },
    begin(request, response, route) {
      const given = request.headers["x-request-id"];
      const requestId =
        given !== undefined && typeof given === "string" && REQUEST_ID.test(given) ? given : nextRequestId();
      const ctx = new RequestCtx(requestId, log);
      const startedMs = clock.monotonicMs();
      const method = METHODS.has(request.method ?? "") ? (request.method as string) : "OTHER";
      running += 1;
      inFlight.set(running);
      response.once("close", () => {
        running -= 1;
        inFlight.set(running);
        const whole = response.writableFinished;
        if (!whole) ctx.abort(new GfsError("Canceled", "The client went away."));
        const elapsedMs = clock.monotonicMs() - startedMs;
        const status = whole ? response.statusCode : 499;
        total.add(1, { route, method, status: String(status) });
        duration.observe(elapsedMs / 1_000, { route, method });
        if (status < 500 && !log.debugs) return;
        log[status < 500 ? "debug" : "info"]("http_request", {
          requestId,
          method,
          path: pathOf(request.url ?? ""),
          status,
          durationMs: Math.round(elapsedMs * 10) / 10,
        });
      });
      return { ctx, request, response, route };
    },
    admit({ request }, { open }) {
      if (running > maxConcurrentRequests) {
        throw new GfsError("Overloaded", "Too many requests run at once; try again in a moment.", {
          retryAfterMs: 1_000,
        });
      }
      if (open) return;
      if (keyring.isEmpty) {
        // Without keys only this machine may ask; a page in a browser on it, reached under a foreign name, may not.
        const host = (request.headers.host ?? "localhost").replace(/:\d+$/, "");
        if (!isLoopbackHost(host))
          throw new GfsError(
            "PermissionDenied",
            `The coordinator has no API keys and answers only to local names, not to ${host.slice(0, 100)}.`,
          );
        return;
      }
      const presented = presentedKey(request);
      if (presented === undefined)
        throw new GfsError("Unauthenticated", "This coordinator asks for an API key; send it in X-GlobalFS-API-Key.");
      if (keyring.verify(presented) === undefined)
        throw new GfsError("Unauthenticated", "The API key is not known here.");
    },
  };
}

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

const processId = ulid().slice(-12);
let requests = 0;

/** Unique among all processes, and cheap: a random part for the process, and a number. */
function nextRequestId(): string {
  requests += 1;
  return `${processId}${requests.toString(36).toUpperCase().padStart(8, "0")}`;
}

const METHODS = new Set(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]);

function presentedKey({ headers }: IncomingMessage): string | undefined {
  const own = headers["x-globalfs-api-key"];
  if (typeof own === "string") return own;
  const bearer = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? "");
  return bearer?.[1];
}

/** Without the query, which may carry what no log should. */
function pathOf(url: string): string {
  const query = url.indexOf("?");
  return (query === -1 ? url : url.slice(0, query)).slice(0, 1_200);
}
