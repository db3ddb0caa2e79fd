import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Bucket } from "../../coordinator/service/buckets.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import {
  Admission,
  type Admitted,
  type Audited,
  createAuditor,
  createTraffic,
  drainRest,
  DURATION_BUCKETS_SECONDS,
  methodLabel,
  nextRequestId,
  ownHost,
  type PassOn,
  pathOf,
  type Told,
} from "../http/index.ts";
import { authorize, corsHeaders, preflight, refuseUnsigned } from "./access/index.ts";
import { type AuditTrail, canonicalUserId, type Identity } from "../../security/index.ts";
import { type Authenticated, type Gate, isPostForm } from "./auth/index.ts";
import { notImplemented, s3Error } from "./wire/errors.ts";
import { sendFailure } from "./wire/error-answer.ts";
import { pathIn, wholeTree } from "./buckets/key-space.ts";
import type { Operation, Route, S3Deps, S3Request, Target } from "./wire/request.ts";
import type { Router } from "./wire/router.ts";
import { parseTarget } from "./wire/target.ts";

export interface HandlerDeps extends S3Deps {
  readonly gate: Gate;
  readonly router: Router;
  readonly metrics: Metrics;
  readonly audit: AuditTrail;
  readonly domains: readonly string[];
  readonly maxConcurrentRequests: number;
  /** Of those who do not say, or have not said yet, who they are; beside the others. */
  readonly maxStrangers: number;
  /** The client on this connection has proved who it is. */
  readonly vouchFor: (socket: Socket) => void;
  /** Where this process only reads: whatever it cannot answer well, another process answers. */
  readonly passOn?: PassOn;
}

export interface Handler {
  handle(request: IncomingMessage, response: ServerResponse): void;
  readonly running: number;
}

/** Counted by the process that answers. */
const PASSED_ON = "PassedOn";

/** What is known of a request while it runs; filled as the request goes its way, so that its end can tell. */
interface Scope extends Admitted, Audited {
  readonly trace: { operation: string; key?: string };
  target: Target | undefined;
}

/**
 * The way of every request, in this order and with no way around any step: the address, the signature, a place among those that run, the
 * route, the bucket, the permission, the operation.
 */
export function createHandler(deps: HandlerDeps): Handler {
  const { service, gate, router, clock, log, settings, domains, passOn } = deps;
  const instruments = createInstruments(deps.metrics);
  const traffic = createTraffic({ clock, log, inFlight: instruments.inFlight });
  const admission = new Admission({ maxKnown: deps.maxConcurrentRequests, maxStrangers: deps.maxStrangers });
  const auditor = createAuditor<Scope>(deps.audit, "s3", ({ trace, target, request }) => ({
    op: trace.operation,
    path: target === undefined ? pathOf(request.url ?? "") : pathIn(settings, target.bucket, trace.key ?? target.key),
  }));
  let passing = 0;
  const isOwn = settings.ownNames === undefined ? undefined : ownHost(settings.ownNames);
  const whole = settings.rootBucket === undefined ? undefined : wholeTree(settings.rootBucket);

  return {
    get running() {
      return traffic.running + passing;
    },
    handle(http, response) {
      if (passOn !== undefined && http.method !== "GET" && http.method !== "HEAD") {
        passing += 1;
        response.once("close", () => (passing -= 1));
        passOn(http, response);
        return;
      }
      const scope = begin(http, response);
      try {
        const { method, url } = http;
        const target = parseTarget({ method, url, host: http.headers.host ?? "" }, domains);
        scope.target = target;
        if (target.method === "OPTIONS") {
          admission.admit(scope, "stranger");
          void answerPreflight(scope, target).catch((error: unknown) => fail(scope, error));
          return;
        }
        // Its signature stands in its body, which may be long in coming.
        if (isPostForm(http, target)) admission.admit(scope, "stranger");
        const authenticated = gate.authenticate(http, response, target);
        const work =
          authenticated instanceof Promise
            ? authenticated.then(async (known) => await proceed(scope, target, known))
            : proceed(scope, target, authenticated);
        void work.catch((error: unknown) => fail(scope, error));
      } catch (error) {
        fail(scope, error);
      }
    },
  };

  function begin(http: IncomingMessage, response: ServerResponse): Scope {
    const trace: Scope["trace"] = { operation: "Unknown" };
    const requestId = nextRequestId();
    const { socket } = http;
    const ctx = traffic.begin(http, response, {
      requestId,
      onEnd({ status, elapsedMs }) {
        admission.leave(scope);
        const { operation } = trace;
        if (operation === PASSED_ON) return;
        auditor.end(scope, status);
        instruments.total.add(1, { operation, status: String(status) });
        instruments.duration.observe(elapsedMs / 1_000, { operation });
        countBytes(socket, instruments);
        if (status < 500 && !log.debugs) return;
        log[status < 500 ? "debug" : "info"]("s3_request", {
          requestId,
          operation,
          method: methodLabel(http.method),
          path: pathOf(http.url ?? ""),
          key: scope.identity?.accessKeyId,
          user: scope.identity?.user,
          status,
          durationMs: Math.round(elapsedMs * 10) / 10,
        });
      },
    });
    const scope: Scope = {
      ctx,
      request: http,
      response,
      trace,
      target: undefined,
      standing: undefined,
      identity: undefined,
      admitted: false,
      told: {},
    };
    auditor.begin(scope);
    return scope;
  }

  /** Browsers sign no preflight, and ask it for addresses that are signed for another method; it tells only the rules of the bucket. */
  async function answerPreflight(scope: Scope, target: Target): Promise<void> {
    const { ctx, request: http, response, trace } = scope;
    trace.operation = "Preflight";
    // A stranger's question makes no site search; a bucket with rules is in the catalog.
    const bucket = whole === undefined ? service.peekBucket(target.bucket) : await bucketFor(ctx, target);
    preflight({ ctx, http, response, target, bucket });
  }

  async function proceed(scope: Scope, target: Target, { identity, body, key }: Authenticated): Promise<void> {
    const { ctx, request: http, response, trace, told } = scope;
    scope.identity = identity;
    auditor.identified(scope);
    if (key !== undefined) trace.key = key;
    if (identity.kind === "user") deps.vouchFor(http.socket);
    admission.admit(scope, identity.kind === "user" ? "known" : "stranger");
    if (identity.kind === "anonymous" && settings.allowAnonymous) checkName(http);
    const route = router(target, http.headers);
    const { operation } = route;
    trace.operation = operation.name;
    if (whole !== undefined && configuresBucket(route)) throw noSettings();
    const settingsOfBucket = await lookUp(ctx, target, { operation, identity });
    if (settingsOfBucket !== undefined) checkExpectedOwner(http, settingsOfBucket);
    const request: S3Request = {
      ...target,
      key: key ?? target.key,
      ctx,
      http,
      response,
      identity,
      body,
      path: pathIn(settings, target.bucket, key ?? target.key),
      settings: settingsOfBucket,
      told,
    };
    if (http.headers.origin !== undefined && settingsOfBucket !== undefined) {
      for (const [name, value] of corsHeaders(settingsOfBucket, http)) response.setHeader(name, value);
    }
    const allowed = authorize(request, operation, deps);
    if (allowed !== undefined) await allowed;
    auditor.admitted(scope);
    await operation.run(request, deps);
    // What nobody read of the body is not kept: bounded, it makes room for the next request of the connection.
    if (!http.complete) drainRest(http);
  }

  /** A signature holds the name, and no page can make one: it is who does not sign that may be a page under a name of its own. */
  function checkName({ headers: { host } }: IncomingMessage): void {
    if (host === undefined || isOwn === undefined || isOwn(host)) return;
    const name = host.toLowerCase().replace(/:\d+$/, "");
    if (domains.some((domain) => name === domain || name.endsWith(`.${domain}`))) return;
    throw s3Error(
      "PermissionDenied",
      "AccessDenied",
      `Who does not sign cannot call this endpoint ${host.slice(0, 100)}; s3.domains and coordinator.host_names list its names besides local ones.`,
    );
  }

  /** Undefined for operations that work whether there is a bucket or not. */
  async function lookUp(
    ctx: Ctx,
    target: Target,
    { operation, identity }: { readonly operation: Operation; readonly identity: Identity },
  ): Promise<Bucket | undefined> {
    if (operation.bucket === "none") return undefined;
    const known = whole === undefined && target.bucket !== "" ? service.peekBucket(target.bucket) : undefined;
    if (known === undefined) refuseUnsigned(identity, deps);
    const found = known ?? (await bucketFor(ctx, target));
    if (found === undefined) throw s3Error("NotFound", "NoSuchBucket", "The specified bucket does not exist.");
    return found;
  }

  async function bucketFor(ctx: Ctx, { bucket }: Target): Promise<Bucket | undefined> {
    if (whole !== undefined) return bucket === whole.name ? whole : undefined;
    if (bucket === "") return undefined;
    try {
      return await service.findBucket(ctx, bucket);
    } catch (error) {
      // A name that no directory can have names no bucket either.
      if (error instanceof GfsError && (error.code === "InvalidKey" || error.code === "KeyTooLong"))
        throw s3Error("InvalidArgument", "InvalidBucketName", "The specified bucket is not valid.");
      throw error;
    }
  }

  function fail({ ctx, request: http, response, target, trace, told }: Scope, error: unknown): void {
    if (passOn !== undefined && !response.headersSent && !response.destroyed) {
      trace.operation = PASSED_ON;
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      passOn(http, response);
      return;
    }
    tellWhy(told, error);
    sendFailure(response, { ctx, http, target }, error);
  }
}

/** S3's own code, where the error has one, and whose key it was said to be. */
function tellWhy(told: Told, error: unknown): void {
  const { context, meaning } = toGfsError(error);
  told.code = typeof context["s3"] === "string" ? context["s3"] : meaning.s3;
  if (typeof context["accessKeyId"] === "string") told.claims = context["accessKeyId"];
}

function configuresBucket({ level, method, query }: Route): boolean {
  return level === "bucket" && query !== undefined && (method === "PUT" || method === "DELETE");
}

function noSettings(): GfsError {
  return notImplemented("This bucket is the whole tree of GlobalFS, and has no settings of its own.");
}

/** The canonical id of the owner, or the name. */
function checkExpectedOwner({ headers }: IncomingMessage, { owner }: Bucket): void {
  const expected = headers["x-amz-expected-bucket-owner"];
  if (expected === undefined) return;
  if (owner !== undefined && (expected === owner || expected === canonicalUserId(owner))) return;
  throw s3Error("PermissionDenied", "AccessDenied", "The bucket belongs to somebody else than the request expects.");
}

interface Counted {
  read: number;
  written: number;
}

/** Of each connection, what has been counted so far: several requests follow each other on it. */
const counted = new WeakMap<Socket, Counted>();

function countBytes(socket: Socket, { received, sent }: ReturnType<typeof createInstruments>): void {
  let before = counted.get(socket);
  if (before === undefined) {
    before = { read: 0, written: 0 };
    counted.set(socket, before);
  }
  const { bytesRead, bytesWritten } = socket;
  received.add(bytesRead - before.read);
  sent.add(bytesWritten - before.written);
  before.read = bytesRead;
  before.written = bytesWritten;
}

function createInstruments(metrics: Metrics) {
  return {
    total: metrics.counter({
      name: "globalfs_s3_requests_total",
      help: "Requests of S3 clients.",
      labels: ["operation", "status"],
    }),
    duration: metrics.histogram({
      name: "globalfs_s3_request_duration_seconds",
      help: "How long requests of S3 clients took, to the last byte.",
      labels: ["operation"],
      buckets: DURATION_BUCKETS_SECONDS,
    }),
    inFlight: metrics.gauge({ name: "globalfs_s3_requests_in_flight", help: "Requests of S3 clients that run now." }),
    received: metrics.counter({
      name: "globalfs_s3_received_bytes_total",
      help: "Bytes that came from S3 clients, headers included.",
    }),
    sent: metrics.counter({
      name: "globalfs_s3_sent_bytes_total",
      help: "Bytes that went to S3 clients, headers included.",
    }),
  };
}
