import type { IncomingMessage, ServerResponse } from "node:http";
import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import {
  createTraffic,
  DURATION_BUCKETS_SECONDS,
  methodLabel,
  nextRequestId,
  type PageGuard,
  pathOf,
  presentedToken,
} from "../http/index.ts";
import { hasRole, type Identity, OPERATOR, type TokenGate } from "../../security/index.ts";

/** What every request passes before anything else, whichever way it is handled: an id, a key, a place among those that run, and a line in the log. */
export interface Door {
  /**
   * Finds out who asks, and keeps that in the scope. Throws `Unauthenticated`, `PermissionDenied` or `Overloaded`. Without a promise where the catalog
   * is in this process.
   */
  admit(scope: RequestScope, route: { readonly open: boolean }): void | Promise<void>;
  begin(request: IncomingMessage, response: ServerResponse, route: string): RequestScope;
  readonly running: number;
}

export interface RequestScope {
  readonly ctx: Ctx;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: string;
  /** Undefined until the request has been admitted, and on routes that are open to everybody. */
  identity: Identity | undefined;
}

export interface DoorDeps {
  readonly tokens: TokenGate;
  /** False: whoever brings no key does everything. */
  readonly asksForKeys: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxConcurrentRequests: number;
  readonly pages: PageGuard;
}

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;

export function createDoor({ tokens, asksForKeys, clock, log, metrics, maxConcurrentRequests, pages }: DoorDeps): Door {
  const total = metrics.counter({
    name: "globalfs_http_requests_total",
    help: "HTTP requests.",
    labels: ["route", "method", "status"],
  });
  const duration = metrics.histogram({
    name: "globalfs_http_request_duration_seconds",
    help: "How long HTTP requests took, to the last byte.",
    labels: ["route", "method"],
    buckets: DURATION_BUCKETS_SECONDS,
  });
  const inFlight = metrics.gauge({ name: "globalfs_http_requests_in_flight", help: "HTTP requests that run now." });
  const traffic = createTraffic({ clock, log, inFlight });

  return {
    get running() {
      return traffic.running;
    },
    begin(request, response, route) {
      const given = request.headers["x-request-id"];
      const requestId =
        given !== undefined && typeof given === "string" && REQUEST_ID.test(given) ? given : nextRequestId();
      const method = methodLabel(request.method);
      const ctx = traffic.begin(request, response, {
        requestId,
        onEnd({ status, elapsedMs }) {
          total.add(1, { route, method, status: String(status) });
          duration.observe(elapsedMs / 1_000, { route, method });
          if (status < 500 && !log.debugs) return;
          log[status < 500 ? "debug" : "info"]("http_request", {
            requestId,
            method,
            path: pathOf(request.url ?? ""),
            key: scope.identity?.accessKeyId,
            user: scope.identity?.user,
            status,
            durationMs: Math.round(elapsedMs * 10) / 10,
          });
        },
      });
      const scope: RequestScope = { ctx, request, response, route, identity: undefined };
      return scope;
    },
    admit(scope, { open }) {
      const { request } = scope;
      if (traffic.running > maxConcurrentRequests) {
        throw new GfsError("Overloaded", "Too many requests run at once; try again in a moment.", {
          retryAfterMs: 1_000,
        });
      }
      if (open) return;
      pages.check(request);
      const presented = presentedToken(request);
      if (presented === undefined) {
        if (asksForKeys) throw noToken();
        scope.identity = OPERATOR;
        return;
      }
      const identity = tokens.identify(presented);
      if (!(identity instanceof Promise)) {
        enter(scope, identity);
        return;
      }
      return identity.then((known) => enter(scope, known));
    },
  };
}

function enter(scope: RequestScope, identity: Identity): void {
  scope.identity = identity;
  if (!hasRole(identity, "admin", "")) {
    throw new GfsError("PermissionDenied", "Only keys with the role admin of everything pass here.");
  }
}

function noToken(): GfsError {
  return new GfsError("Unauthenticated", "This coordinator asks for an API key; send it in X-GlobalFS-API-Key.");
}
