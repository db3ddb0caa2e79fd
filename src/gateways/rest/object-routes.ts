import type { IncomingMessage, ServerResponse } from "node:http";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { type Identity, ownerOfNew, splitAtBucket } from "../../security/index.ts";
import type { Conditions, CoordinatorService, ObjectMeta } from "../../coordinator/index.ts";
import { accessOf } from "./access/request-access.ts";
import { describeError, sendError } from "./errors.ts";
import { drainRest, hasConditions, type Pace, parseConditions } from "../http/index.ts";
import { deleteAction } from "./many-routes.ts";
import { objectHeaders } from "./http-headers.ts";
import { keyFromUrl, OBJECTS_PREFIX } from "./object-key.ts";
import { receiveObject } from "./receive-object.ts";
import type { Door, RequestScope } from "./request-scope.ts";
import { sendObject } from "./send-object.ts";

/** As S3 calls them. A directory at the top is a bucket. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["GET", "s3:GetObject"],
  ["HEAD", "s3:GetObject"],
  ["PUT", "s3:PutObject"],
  ["DELETE", "s3:DeleteObject"],
]);

function actionOf(method: string, key: string): string {
  const action = ACTIONS.get(method);
  if (action === undefined) throw new GfsError("MethodNotAllowed", `Objects know ${METHODS}.`);
  return method === "DELETE" ? deleteAction(key) : action;
}

export interface ObjectRoutesDeps {
  readonly service: CoordinatorService;
  readonly door: Door;
  readonly clock: Clock;
  readonly pace: Pace;
}

const METHODS = "GET, HEAD, PUT, DELETE";

function ownerOfMarker(identity: Identity | undefined): { readonly owner?: string } {
  const owner = identity === undefined ? undefined : ownerOfNew(identity, undefined);
  return owner === undefined ? {} : { owner };
}

function conditionsOf({ headers }: IncomingMessage): { readonly conditions?: Conditions } {
  const conditions = parseConditions(headers);
  return conditions === undefined ? {} : { conditions };
}

/** Headers of objects that are asked for again and again. */
const prepared = new WeakMap<ObjectMeta, string[]>();

export function createObjectHandler({ service, door, clock, pace }: ObjectRoutesDeps) {
  return (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const scope = door.begin(request, response, "objects", `${OBJECTS_PREFIX}{key}`);
    try {
      const admitted = door.admit(scope);
      const work =
        admitted === undefined ? enter(scope, expectsContinue) : admitted.then(() => enter(scope, expectsContinue));
      if (work !== undefined) void work.catch((error: unknown) => fail(scope, error));
    } catch (error) {
      fail(scope, error);
    }
  };

  /** Undefined: it has been answered. */
  function enter(scope: RequestScope, expectsContinue: boolean): Promise<void> | undefined {
    const { request } = scope;
    const method = request.method ?? "";
    const key = keyFromUrl(request.url ?? "", OBJECTS_PREFIX);
    const allowed = accessOf(scope, { service, clock }).object(actionOf(method, key), key);
    if (allowed !== undefined) return allowed.then(async () => await handle(scope, { method, key, expectsContinue }));
    if (method === "GET" && answerAtOnce(scope, key)) return undefined;
    return handle(scope, { method, key, expectsContinue });
  }

  /** A plain read of a small object that is in memory: nothing to wait for. */
  function answerAtOnce({ request, response, ctx }: RequestScope, key: string): boolean {
    const { headers } = request;
    if (headers.range !== undefined || hasConditions(headers)) return false;
    const found = service.peekObject(key);
    if (found === undefined) return false;
    const known = prepared.get(found.meta) ?? [
      ...objectHeaders(found.meta),
      "Content-Length",
      String(found.meta.sizeBytes),
      "X-GlobalFS-Source",
      "cache",
    ];
    prepared.set(found.meta, known);
    response.writeHead(200, [...known, "X-Request-ID", ctx.requestId]);
    response.end(found.bytes);
    return true;
  }

  async function handle(
    scope: RequestScope,
    {
      method,
      key,
      expectsContinue,
    }: { readonly method: string; readonly key: string; readonly expectsContinue: boolean },
  ): Promise<void> {
    const { request } = scope;
    switch (method) {
      case "GET":
        await sendObject(service, scope, key, parseConditions(request.headers));
        return;
      case "HEAD":
        await sendHead(scope, key);
        return;
      case "PUT":
        await receiveObject(service, scope, {
          key,
          conditions: parseConditions(request.headers),
          pace,
          expectsContinue,
          owner: await newOwner(scope, key),
        });
        return;
      default:
        await remove(scope, key);
    }
  }

  async function newOwner({ identity }: RequestScope, key: string): Promise<string | undefined> {
    if (identity === undefined) return undefined;
    return ownerOfNew(identity, await service.storedBucket(splitAtBucket(key).bucketName));
  }

  async function sendHead({ request, response, ctx }: RequestScope, key: string): Promise<void> {
    const { meta, notModified } = await service.headObject(ctx, key, conditionsOf(request));
    const headers = objectHeaders(meta);
    headers.push("X-Request-ID", ctx.requestId);
    if (!notModified) headers.push("Content-Length", String(meta.sizeBytes));
    response.writeHead(notModified ? 304 : 200, headers);
    response.end();
  }

  async function remove({ request, response, ctx, identity }: RequestScope, key: string): Promise<void> {
    const { deleted, pendingSites } = await service.deleteObject(ctx, key, {
      ...conditionsOf(request),
      ...ownerOfMarker(identity),
    });
    response.writeHead(204, {
      "X-Request-ID": ctx.requestId,
      "X-GlobalFS-Deleted": deleted ? "1" : "0",
      ...(pendingSites.length === 0
        ? {}
        : { "X-GlobalFS-Replication": "pending", "X-GlobalFS-Pending-Sites": pendingSites.join(", ") }),
    });
    response.end();
  }

  function fail(scope: RequestScope, error: unknown): void {
    const { request, response, ctx } = scope;
    const { failure, body } = describeError(error, ctx.requestId, ctx.log);
    scope.told.code = failure.code;
    const extra: Record<string, string> = {};
    if (failure.code === "MethodNotAllowed") extra["Allow"] = METHODS;
    const { sizeBytes } = toGfsError(error).context;
    if (failure.code === "RangeNotSatisfiable" && typeof sizeBytes === "number")
      extra["Content-Range"] = `bytes */${sizeBytes}`;
    sendError(response, failure, body, { head: request.method === "HEAD", extra });
    drainRest(request);
  }
}
