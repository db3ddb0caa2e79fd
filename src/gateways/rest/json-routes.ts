import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { CoordinatorService } from "../../coordinator/index.ts";
import type { AuditTrail } from "../../security/index.ts";
import { accessOf } from "./access/request-access.ts";
import { byteParameter } from "./byte-path.ts";
import { describeError, errorHeaders, sendError } from "./errors.ts";
import { frameOf, writeFrames } from "./event-stream.ts";
import { keyFromUrl } from "./object-key.ts";
import { openApiDocument } from "./openapi.ts";
import type { Door, RequestScope } from "./request-scope.ts";
import { withSigns } from "../http/index.ts";
import type { Call, Reply, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

declare module "fastify" {
  interface FastifyRequest {
    scope: RequestScope;
  }
}

export interface JsonRoutesDeps {
  readonly service: CoordinatorService;
  readonly door: Door;
  readonly clock: Clock;
  readonly version: string;
  readonly audit: AuditTrail;
  /** Aborts when the server is to end: who follows something would hold it up. */
  readonly ending: AbortSignal;
  readonly renderMetrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** What anybody may ask, at any time: however busy the rest is, these are no part of it. */
const OPEN = new Set(["/livez", "/readyz", "/healthz"]);

export function addJsonRoutes(
  app: FastifyInstance,
  { service, door, clock, version, audit, ending, renderMetrics }: JsonRoutesDeps,
): void {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook("onRequest", async (request, reply) => {
    const url = request.routeOptions.url ?? "unknown";
    request.scope = door.begin(request.raw, reply.raw, routeName(url), url);
    reply.header("X-Request-ID", request.scope.ctx.requestId);
    reply.header("X-Content-Type-Options", "nosniff");
    const admitted = OPEN.has(url) ? undefined : door.admit(request.scope);
    if (admitted !== undefined) await admitted;
  });
  app.setErrorHandler(async (error, request, reply) => {
    const { failure, body } = describeError(translate(error), request.scope.ctx.requestId, request.scope.ctx.log);
    request.scope.told.code = failure.code;
    return await reply.code(failure.meaning.http).headers(errorHeaders(failure)).send(body);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split("?")[0] as string;
    const allowed = allowedMethods(methodsOf, path);
    if (allowed.length > 0) {
      reply.header("Allow", allowed.join(", "));
      throw new GfsError("MethodNotAllowed", `${path.slice(0, 200)} knows ${allowed.join(", ")}.`);
    }
    throw new GfsError(
      "NotFound",
      `There is nothing at ${path.slice(0, 200)}; /api/v1/openapi.json describes what there is.`,
    );
  });

  for (const route of ROUTES) {
    const pattern = route.path.replace("{key...}", "*").replaceAll(/\{(\w+)\}/g, ":$1");
    methodsOf.set(pattern, (methodsOf.get(pattern) ?? new Set()).add(route.method));
    app.route({
      method: route.method,
      url: pattern,
      handler: async (request, reply) => await serve(route, request, reply),
    });
  }
  const get = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>): void => {
    methodsOf.set(url, new Set(["GET"]));
    app.get(url, handler);
  };
  get("/healthz", async (request, reply) => {
    const { healthy, problems } = await service.health(request.scope.ctx);
    reply.type("text/plain");
    if (healthy) return "OK";
    reply.code(503);
    // What the sites are called and what they answer is not for strangers.
    if (!(await door.seesSites(request.scope))) return "DEGRADED";
    return `DEGRADED\n${problems.map(({ site, error }) => `${site}: ${error}`).join("\n")}`;
  });
  get("/livez", async (_request, reply) => {
    reply.type("text/plain");
    return "OK";
  });
  get(
    "/readyz",
    async (_request, reply) =>
      await reply
        .code(service.ready ? 200 : 503)
        .type("text/plain")
        .send(service.ready ? "OK" : "STARTING"),
  );
  if (renderMetrics !== undefined) {
    get("/metrics", async (request, reply) => {
      accessOf(request.scope, { service, clock }).operation("globalfs:GetMetrics");
      const { contentType, body } = await renderMetrics();
      return await reply.type(contentType).send(body);
    });
  }
  get("/api/v1/openapi.json", async () => openApiDocument(version));

  async function serve(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const access = accessOf(request.scope, { service, clock });
    const call: Call = {
      access,
      async again() {
        await door.recognize(request.scope);
        return accessOf(request.scope, { service, clock });
      },
      ctx: request.scope.ctx,
      audit,
      told: request.scope.told,
      params: paramsOf(route, request),
      query: check(route.query, queryOf(request), "The query"),
      body: check(route.body, request.body ?? (route.stream === undefined ? request.body : {}), "The body"),
    };
    const paths = [...pathsIn(call.body), ...pathsIn(call.query)];
    if (paths.length > 0) request.scope.told.paths = paths;
    await route.needs(access, call);
    if (route.follow !== undefined) return await streamEvents(route.follow, call, { request, reply });
    if (route.stream !== undefined) return await streamLines(route.stream(service, call), request, reply);
    const run = async (): Promise<Reply> => await (route.run as NonNullable<Route["run"]>)(service, call);
    if (route.long === true) return await answerLong(clock, { request, reply, run });
    return await send(reply, await run());
  }

  async function streamEvents(
    follow: NonNullable<Route["follow"]>,
    call: Call,
    { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  ): Promise<FastifyReply> {
    const { scope } = request;
    const signal = AbortSignal.any([call.ctx.signal, ending]);
    const pages = follow(service, { ...call, ctx: { ...call.ctx, signal } })[Symbol.asyncIterator]();
    const { raw } = reply;
    try {
      // The first page comes before the status, so that a request that cannot begin gets an error of its own.
      let page = await pages.next();
      door.setAside(scope);
      beginAnswer(reply, scope.ctx.requestId, "text/event-stream");
      for (; page.done !== true && !signal.aborted; page = await pages.next())
        await writeFrames(raw, page.value.map(frameOf).join(""), { clock, signal });
      raw.end();
    } catch (error) {
      if (!raw.headersSent) throw error;
      // It has begun, so that the end is all there is to tell; whoever comes again is told why it is refused.
      scope.told.code = describeError(error, scope.ctx.requestId, scope.ctx.log).body.code;
      if (signal.aborted) raw.end();
      else raw.destroy();
    } finally {
      await pages.return?.();
    }
    return reply;
  }
}

async function send(reply: FastifyReply, answer: Reply): Promise<FastifyReply> {
  reply.code(answer.status).headers({ ...answer.headers });
  return answer.body === undefined
    ? await reply.send()
    : await reply.type("application/json").send(JSON.stringify(answer.body));
}

interface LongRequest {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly run: () => Promise<Reply>;
}

async function answerLong(clock: Clock, { request, reply, run }: LongRequest): Promise<FastifyReply> {
  const { ctx, told } = request.scope;
  const { raw } = reply;
  let begun = false;
  const sign = (): void => {
    if (begun) raw.write(" ");
    else beginAnswer(reply, ctx.requestId, "application/json");
    begun = true;
  };
  try {
    const answer = await withSigns(clock, sign, run);
    if (!begun) return await send(reply, answer);
    raw.end(JSON.stringify(answer.body));
  } catch (error) {
    if (!begun) throw error;
    const { body } = describeError(error, ctx.requestId, ctx.log);
    told.code = body.code;
    raw.end(JSON.stringify(body));
  }
  return reply;
}

/** From here on the answer is written piece by piece. */
function beginAnswer(reply: FastifyReply, requestId: string, contentType: string): void {
  reply.hijack();
  reply.raw.writeHead(200, {
    "Content-Type": contentType,
    "X-Request-ID": requestId,
    "Cache-Control": "no-store",
    // Proxies that would collect it pass it on.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
  });
}

/** Paths are bytes, which the router would take for broken text. */
function queryOf({ query, raw }: FastifyRequest): unknown {
  const found = { ...(query as Record<string, unknown>) };
  for (const name of ["path", "after"])
    if (typeof found[name] === "string") found[name] = byteParameter(raw.url ?? "", name);
  return found;
}

/** What the body of a request is about, for the audit trail; the rest of it may be secret. */
function pathsIn(body: unknown): string[] {
  if (typeof body !== "object" || body === null) return [];
  const { from, to, key, path, name, prefix } = body as Record<string, unknown>;
  return [from, to, key, path, path === undefined ? name : undefined, prefix].filter(
    (value) => typeof value === "string",
  );
}

function allowedMethods(methodsOf: ReadonlyMap<string, ReadonlySet<string>>, path: string): string[] {
  for (const [pattern, methods] of methodsOf) {
    const expression = `^${pattern.replaceAll(/[.]/g, "\\.").replaceAll(/:\w+/g, "[^/]+").replace("*", ".*")}$`;
    if (new RegExp(expression).test(path)) return [...methods];
  }
  return [];
}

function routeName(url: string): string {
  if (OPEN.has(url)) return "health";
  return url.replace("/api/v1/", "").split("/")[0]?.replace("/", "") || "unknown";
}

/** A key comes from the raw address, as on the object path; other parameters are names that the router has decoded. */
function paramsOf(route: Route, request: FastifyRequest): Record<string, string> {
  const mark = route.path.indexOf("{key...}");
  if (mark === -1) return { ...(request.params as Record<string, string>) };
  return { key: keyFromUrl(request.raw.url ?? "", route.path.slice(0, mark)) };
}

function check(schema: z.ZodType | undefined, value: unknown, what: string): unknown {
  if (schema === undefined) return undefined;
  const result = schema.safeParse(value ?? {});
  if (result.success) return result.data;
  throw new GfsError(
    "InvalidArgument",
    `${what} does not fit: ${describeIssue(result.error.issues[0] as z.core.$ZodIssue)}.`,
  );
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const at = issue.path.join(".");
  if (issue.code === "unrecognized_keys")
    return `unknown field ${issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(", ")}`;
  if (issue.code === "invalid_union") {
    const inner = issue.errors.map((issues) => issues[0]).find((each) => each !== undefined);
    return inner === undefined ? "it has none of the shapes it may have" : describeIssue(inner);
  }
  return `${at === "" ? "it" : at}: ${issue.message}`;
}

function translate(error: unknown): unknown {
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message?: string };
  if (typeof code !== "string" || !code.startsWith("FST_")) return error;
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new GfsError("TooLarge", "The body is larger than this route takes.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new GfsError("InvalidArgument", "Send JSON, with Content-Type: application/json.");
    case "FST_ERR_BAD_URL":
      return new GfsError("InvalidArgument", "The address is not percent-encoded UTF-8.");
    default:
      return statusCode !== undefined && statusCode < 500
        ? new GfsError("InvalidArgument", `The request cannot be read: ${message ?? code}.`)
        : error;
  }
}

async function streamLines(
  lines: AsyncIterable<unknown>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { ctx } = request.scope;
  const iterator = lines[Symbol.asyncIterator]();
  // The first line comes before the status, so that a request that cannot begin gets an error of its own.
  let next = await iterator.next();
  const { raw } = reply;
  beginAnswer(reply, ctx.requestId, "application/x-ndjson");
  try {
    for (; next.done !== true; next = await iterator.next()) {
      if (ctx.signal.aborted) break;
      raw.write(`${JSON.stringify(next.value)}\n`);
    }
    raw.end();
  } catch (error) {
    const { failure, body } = describeError(error, ctx.requestId, ctx.log);
    if (raw.headersSent) raw.end(`${JSON.stringify(body)}\n`);
    else sendError(raw, failure, body, { head: false });
  } finally {
    await iterator.return?.();
  }
  return reply;
}
