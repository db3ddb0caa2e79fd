import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import { OBJECTS_PREFIX } from "./object-key.ts";
import {
  Admission,
  type Admitted,
  type Audited,
  certifiedNames,
  createAuditor,
  createTraffic,
  DURATION_BUCKETS_SECONDS,
  methodLabel,
  nextRequestId,
  type PageGuard,
  pathOf,
  presentedToken,
} from "../http/index.ts";
import { type AuditTrail, grantAllowing, type Identity, OPERATOR, type TokenGate } from "../../security/index.ts";

/** What every request passes before anything else, whichever way it is handled: an id, a key, a place among those that run, and a line in the log. */
export interface Door {
  /**
   * Finds out who asks, and keeps that in the scope. Throws `Unauthenticated`, `PermissionDenied` or `Overloaded`. Without a promise where the catalog
   * is in this process.
   */
  admit(scope: RequestScope): void | Promise<void>;
  /** Finds out once more who asks; throws as `admit` does. */
  recognize(scope: RequestScope): Promise<void>;
  /** Gives its place among those that run to others, for one among those that follow; throws `Overloaded` when there is none. */
  setAside(scope: RequestScope): void;
  /** Whether who asks may be told of sites. */
  seesSites(scope: RequestScope): Promise<boolean>;
  begin(request: IncomingMessage, response: ServerResponse, route: string, pattern: string): RequestScope;
  readonly running: number;
}

export interface RequestScope extends Admitted, Audited {
  readonly ctx: Ctx;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: string;
  /** The address, as the routing table has it. */
  readonly pattern: string;
  /** Undefined until the request has been admitted, and on routes that are open to everybody. */
  identity: Identity | undefined;
}

export interface DoorDeps {
  readonly audit: AuditTrail;
  readonly tokens: TokenGate;
  /** False: whoever brings no key does everything. */
  readonly asksForKeys: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxConcurrentRequests: number;
  readonly pages: PageGuard;
  /** The client on this connection has proved who it is. */
  readonly vouchFor: (socket: Socket) => void;
}

const REQUEST_ID = /^[A-Za-z0-9_.:-]{1,128}$/;

const MAX_FOLLOWERS = 1_000;

export function createDoor(deps: DoorDeps): Door {
  const { tokens, asksForKeys, clock, log, metrics, maxConcurrentRequests, pages, vouchFor } = deps;
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
  const auditor = createAuditor<RequestScope>(deps.audit, "rest", ({ pattern, request }) => ({
    op: `${methodLabel(request.method)} ${pattern}`,
    path: auditedPath(request.url ?? ""),
  }));
  const traffic = createTraffic({ clock, log, inFlight });
  // Strangers are answered at once, and run nothing.
  const admission = new Admission({ maxKnown: maxConcurrentRequests, maxStrangers: 0, maxFollowers: MAX_FOLLOWERS });

  const identify = (request: IncomingMessage): Identity | Promise<Identity> => {
    pages.check(request);
    const presented = presentedToken(request);
    if (presented !== undefined) return tokens.identify(presented);
    const certified = tokens.identifyCertificate(certifiedNames(request));
    if (certified !== undefined) return certified;
    if (asksForKeys) throw noToken();
    return OPERATOR;
  };
  const enter = (scope: RequestScope, identity: Identity): void => {
    scope.identity = identity;
    auditor.identified(scope);
    vouchFor(scope.request.socket);
    admission.admit(scope, "known");
    auditor.admitted(scope);
  };

  return {
    get running() {
      return traffic.running;
    },
    begin(request, response, route, pattern) {
      const given = request.headers["x-request-id"];
      const requestId =
        given !== undefined && typeof given === "string" && REQUEST_ID.test(given) ? given : nextRequestId();
      const method = methodLabel(request.method);
      const ctx = traffic.begin(request, response, {
        requestId,
        onEnd({ status, elapsedMs }) {
          admission.leave(scope);
          auditor.end(scope, status);
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
      const scope: RequestScope = {
        ctx,
        request,
        response,
        route,
        pattern,
        identity: undefined,
        standing: undefined,
        admitted: false,
        told: {},
      };
      auditor.begin(scope);
      return scope;
    },
    admit(scope) {
      const identity = identify(scope.request);
      if (!(identity instanceof Promise)) {
        enter(scope, identity);
        return;
      }
      return identity.then((known) => enter(scope, known));
    },
    async recognize(scope) {
      scope.identity = await identify(scope.request);
    },
    setAside: (scope) => admission.admit(scope, "follower"),
    async seesSites({ request }) {
      try {
        const { grants } = await identify(request);
        return grantAllowing(grants, "globalfs:ListSites", "") !== undefined;
      } catch {
        return false;
      }
    },
  };
}

/** An object's key as it is, not as it was written in the address. */
function auditedPath(url: string): string {
  const path = pathOf(url);
  const key = path.startsWith(OBJECTS_PREFIX) ? path.slice(OBJECTS_PREFIX.length) : undefined;
  if (key === undefined) return path;
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function noToken(): GfsError {
  return new GfsError("Unauthenticated", "This coordinator asks for an API key; send it in X-GlobalFS-API-Key.");
}
