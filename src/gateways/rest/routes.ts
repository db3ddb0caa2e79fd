import type { z } from "zod";
import type { Ctx } from "../../core/context.ts";
import type { JobId } from "../../core/ids.ts";
import type { AddSite, CoordinatorService } from "../../coordinator/index.ts";
import * as schemas from "./schemas.ts";
import {
  accessKeyView,
  explainView,
  importView,
  infoView,
  jobView,
  listView,
  newAccessKeyView,
  siteView,
  usageView,
} from "./views.ts";

/** Every JSON route, in one table: the router and the OpenAPI document are both made from it. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** `{name}` is one component; `{key...}` is the rest of the path. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** By status; undefined: no body. */
  readonly answers: Readonly<Record<number, z.ZodType | undefined>>;
  /** Answers lines of JSON as they come, the last with `done`. */
  readonly stream?: (service: CoordinatorService, call: Call) => AsyncIterable<unknown>;
  readonly run?: (service: CoordinatorService, call: Call) => Promise<Reply>;
}

export interface Call {
  readonly ctx: Ctx;
  readonly params: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const ok = (body: unknown): Reply => ({ status: 200, body });
const param = (call: Call, name: string): string => call.params[name] ?? "";
const jobId = (call: Call): JobId => param(call, "id") as JobId;

export const ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/info",
    summary: "Version, uptime, sites, queue and health of this coordinator.",
    answers: { 200: schemas.infoSchema },
    run: async (service, { ctx }) => ok(infoView(await service.info(ctx))),
  },
  {
    method: "GET",
    path: "/api/v1/sites",
    summary: "All sites with their health.",
    answers: { 200: schemas.siteSchema.array() },
    run: async (service, { ctx }) => ok((await service.listSites(ctx)).map(siteView)),
  },
  {
    method: "POST",
    path: "/api/v1/sites",
    summary: "Adds a site; it is probed first.",
    body: schemas.addSiteBody,
    answers: { 201: schemas.siteSchema },
    run: async (service, { ctx, body }) => ({
      status: 201,
      body: siteView(await service.addSite(ctx, siteOf(body as AddSiteBody))),
    }),
  },
  {
    method: "DELETE",
    path: "/api/v1/sites/{name}",
    summary:
      "Takes a site out. Its objects stay where they are. 409 when no primary would be left or objects have their only copy there, unless it is forced.",
    query: schemas.removeSiteQuery,
    answers: { 204: undefined },
    run: async (service, call) => {
      const { force } = call.query as z.infer<typeof schemas.removeSiteQuery>;
      await service.removeSite(call.ctx, param(call, "name"), force === undefined ? {} : { force });
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "/api/v1/sites/{name}/import",
    summary: "Takes a site's objects into the catalog; answers lines of progress.",
    body: schemas.importBody,
    answers: { 200: schemas.importProgressSchema },
    async *stream(service, call) {
      const { prefix, after } = (call.body ?? {}) as z.infer<typeof schemas.importBody>;
      const request = {
        site: param(call, "name"),
        ...(prefix === undefined ? {} : { prefix }),
        ...(after === undefined ? {} : { after }),
      };
      for await (const progress of service.importSite(call.ctx, request)) yield importView(progress);
    },
  },
  {
    method: "GET",
    path: "/api/v1/objects",
    summary:
      "Lists objects of all sites in key order. An array; an object with `delimiter`, `continuation` or `envelope`. 207 when a site could not be listed.",
    query: schemas.listQuery,
    answers: { 200: schemas.listSchema, 207: schemas.listSchema },
    run: async (service, { ctx, query }) => await list(service, ctx, query as z.infer<typeof schemas.listQuery>),
  },
  {
    method: "POST",
    path: "/api/v1/rename",
    summary: "Renames an object, or with a slash at the end of both a whole directory.",
    body: schemas.renameBody,
    answers: { 204: undefined },
    run: async (service, { ctx, body }) => {
      const { from, to, overwrite } = body as z.infer<typeof schemas.renameBody>;
      await service.rename(ctx, { from, to, ...(overwrite === undefined ? {} : { overwrite }) });
      return { status: 204 };
    },
  },
  {
    method: "GET",
    path: "/api/v1/explain/{key...}",
    summary: "Which rule placed an object, where each copy is, and why it waits.",
    answers: { 200: schemas.explainSchema },
    run: async (service, call) => ok(explainView(await service.explain(call.ctx, param(call, "key")))),
  },
  {
    method: "GET",
    path: "/api/v1/usage",
    summary: "Objects and bytes below a prefix, in all and by site.",
    query: schemas.usageQuery,
    answers: { 200: schemas.usageSchema },
    run: async (service, { ctx, query }) =>
      ok(usageView(await service.usage(ctx, (query as z.infer<typeof schemas.usageQuery>).prefix ?? ""))),
  },
  {
    method: "POST",
    path: "/api/v1/replicate",
    summary: "Queues a copy of an object from one site to another, ahead of all other jobs.",
    body: schemas.replicateBody,
    answers: { 202: schemas.jobSchema },
    run: async (service, { ctx, body }) => ({
      status: 202,
      body: jobView(await service.replicate(ctx, body as z.infer<typeof schemas.replicateBody>)),
    }),
  },
  {
    method: "GET",
    path: "/api/v1/jobs",
    summary: "Background jobs, oldest first.",
    query: schemas.jobsQuery,
    answers: { 200: schemas.jobsSchema },
    run: async (service, { ctx, query }) => {
      const { state, limit, continuation } = query as z.infer<typeof schemas.jobsQuery>;
      const page = await service.listJobs(ctx, {
        limit: limit ?? 100,
        ...(state === undefined ? {} : { state }),
        ...(continuation === undefined ? {} : { after: continuation }),
      });
      return ok({
        jobs: page.jobs.map(jobView),
        ...(page.continuation === undefined ? {} : { continuation: page.continuation }),
      });
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/pause",
    summary: "Stops all jobs until they are resumed, also over a restart.",
    answers: { 204: undefined },
    run: async (service, { ctx }) => {
      await service.pauseAllJobs(ctx, true);
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/resume",
    summary: "Lets all jobs go on.",
    answers: { 204: undefined },
    run: async (service, { ctx }) => {
      await service.pauseAllJobs(ctx, false);
      return { status: 204 };
    },
  },
  {
    method: "GET",
    path: "/api/v1/jobs/{id}",
    summary: "One job.",
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => ok(jobView(await service.getJob(call.ctx, jobId(call)))),
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/pause",
    summary: "Stops one job; what it has moved is kept.",
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => ok(jobView(await service.pauseJob(call.ctx, jobId(call)))),
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/resume",
    summary: "Lets one job go on, or a failed one try again.",
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => ok(jobView(await service.resumeJob(call.ctx, jobId(call)))),
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/cancel",
    summary: "Ends one job for good.",
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => ok(jobView(await service.cancelJob(call.ctx, jobId(call)))),
  },
  {
    method: "GET",
    path: "/api/v1/keys",
    summary: "The access keys of S3 clients, without their secrets.",
    answers: { 200: schemas.accessKeySchema.array() },
    run: async (service, { ctx }) => ok((await service.listAccessKeys(ctx)).map(accessKeyView)),
  },
  {
    method: "POST",
    path: "/api/v1/keys",
    summary: "Makes an access key for S3 clients. Its secret is told only in this answer.",
    body: schemas.createAccessKeyBody,
    answers: { 201: schemas.newAccessKeySchema },
    run: async (service, { ctx, body }) => {
      const {
        expires_in_seconds: lifetimeSeconds,
        id,
        secret,
        ...rest
      } = body as z.infer<typeof schemas.createAccessKeyBody>;
      const key = await service.createAccessKey(ctx, {
        ...rest,
        ...(lifetimeSeconds === undefined ? {} : { lifetimeMs: lifetimeSeconds * 1_000 }),
        ...(id === undefined ? {} : { id }),
        ...(secret === undefined ? {} : { secret }),
      });
      return { status: 201, body: newAccessKeyView(key), headers: { "Cache-Control": "no-store" } };
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/keys/{id}",
    summary: "Deletes an access key; what it signs from now on is refused.",
    answers: { 204: undefined },
    run: async (service, call) => {
      await service.deleteAccessKey(call.ctx, param(call, "id"));
      return { status: 204 };
    },
  },
];

type AddSiteBody = z.infer<typeof schemas.addSiteBody>;

function siteOf(body: AddSiteBody): AddSite {
  if ("uri" in body) return body;
  const query = new URLSearchParams();
  if (body.s3_region !== undefined && body.s3_region !== "") query.set("region", body.s3_region);
  if (body.s3_endpoint !== undefined && body.s3_endpoint !== "") query.set("endpoint", body.s3_endpoint);
  const suffix = query.size === 0 ? "" : `?${query.toString()}`;
  return { name: body.name, role: body.role, uri: `s3://${body.s3_bucket}${suffix}` };
}

async function list(service: CoordinatorService, ctx: Ctx, query: z.infer<typeof schemas.listQuery>): Promise<Reply> {
  const { envelope, limit, prefix, delimiter, after, continuation } = query;
  const result = await service.listObjects(ctx, {
    limit: limit ?? 1_000,
    ...(prefix === undefined ? {} : { prefix }),
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(after === undefined ? {} : { after }),
    ...(continuation === undefined ? {} : { continuation }),
  });
  const view = listView(result);
  const whole = envelope ?? (delimiter !== undefined || continuation !== undefined);
  const headers: Record<string, string> = {};
  if (result.continuation !== undefined) headers["X-GlobalFS-Continuation"] = result.continuation;
  if (result.failedSites.length > 0) {
    headers["X-GlobalFS-Partial"] = "true";
    headers["X-GlobalFS-Failed-Sites"] = result.failedSites.map(({ site }) => site).join(", ");
  }
  return { status: result.failedSites.length > 0 ? 207 : 200, body: whole ? view : view.objects, headers };
}
