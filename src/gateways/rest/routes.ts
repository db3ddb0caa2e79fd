import type { z } from "zod";
import type { JobId } from "../../core/ids.ts";
import type { AddSite, CoordinatorService } from "../../coordinator/index.ts";
import type { AuditQuery } from "../../security/index.ts";
import { listVisible } from "./access/visible-listing.ts";
import type { RequestAccess } from "./access/request-access.ts";
import { checkJob, listVisibleJobs } from "./access/visible-jobs.ts";
import { visibleUsage } from "./access/visible-usage.ts";
import { EVENT_ROUTES } from "./event-routes.ts";
import { FILE_ROUTES } from "./file-routes.ts";
import { KEY_ROUTES } from "./key-routes.ts";
import { MANY_ROUTES } from "./many-routes.ts";
import { QUOTA_ROUTES } from "./quota-routes.ts";
import { type Call, ok, param, type Reply, type Route, shownAsSeen } from "./route.ts";
import * as schemas from "./schemas.ts";
import { SESSION_ROUTES } from "./session-routes.ts";
import { explainView, importView, infoView, jobPageView, jobView, listView, siteView, usageView } from "./views.ts";

/** Every JSON route, in one table: the router and the OpenAPI document are both made from it. */

/** Who pauses something, and why, as far as it is said. */
function orderOf({ access, body }: Call): { readonly by?: string; readonly reason?: string } {
  const { user: by } = access.identity;
  const { reason } = (body ?? {}) as z.infer<typeof schemas.pauseBody>;
  return { ...(by === "" ? {} : { by }), ...(reason === undefined ? {} : { reason }) };
}

const jobId = (call: Call): JobId => param(call, "id") as JobId;

export const ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/info",
    summary: "Version, uptime, sites, queue and health of this coordinator.",
    needs: (access) => access.operation("globalfs:GetInfo"),
    answers: { 200: schemas.infoSchema },
    run: async (service, { ctx }) => ok(infoView(await service.info(ctx))),
  },
  {
    method: "GET",
    path: "/api/v1/audit",
    summary: "The newest lines of the audit trail that fit, oldest first: changes, refusals and uses of keys.",
    query: schemas.auditQuery,
    needs: (access) => access.operation("globalfs:ReadAudit"),
    answers: { 200: schemas.auditSchema },
    run: async (_service, { audit, query }) => {
      const { limit = 100, ...rest } = query as z.infer<typeof schemas.auditQuery>;
      return ok(await audit.query({ limit, ...rest } as AuditQuery));
    },
  },
  {
    method: "GET",
    path: "/api/v1/sites",
    summary: "All sites with their health.",
    needs: (access) => access.operation("globalfs:ListSites"),
    answers: { 200: schemas.siteSchema.array() },
    run: async (service, { ctx }) => ok((await service.listSites(ctx)).map(siteView)),
  },
  {
    method: "POST",
    path: "/api/v1/sites",
    summary: "Adds a site; it is probed first.",
    body: schemas.addSiteBody,
    needs: (access) => access.operation("globalfs:ChangeSites"),
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
    needs: (access) => access.operation("globalfs:ChangeSites"),
    answers: { 204: undefined },
    run: async (service, call) => {
      const { force } = call.query as z.infer<typeof schemas.removeSiteQuery>;
      await service.removeSite(call.ctx, param(call, "name"), force === undefined ? {} : { force });
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "/api/v1/sites/{name}/adopt",
    summary:
      "Says that what answers at the site's address is the site: another disk, a new bucket, or a place that another catalog uses, too.",
    needs: (access) => access.operation("globalfs:ChangeSites"),
    answers: { 200: schemas.siteSchema },
    run: async (service, call) => ok(siteView(await service.adoptSite(call.ctx, param(call, "name")))),
  },
  {
    method: "POST",
    path: "/api/v1/sites/{name}/import",
    summary: "Takes a site's objects into the catalog; answers lines of progress.",
    body: schemas.importBody,
    needs: (access) => access.operation("globalfs:Import"),
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
    needs: shownAsSeen,
    answers: { 200: schemas.listSchema, 207: schemas.listSchema },
    run: async (service, call) => await list(service, call, call.query as z.infer<typeof schemas.listQuery>),
  },
  {
    method: "POST",
    path: "/api/v1/rename",
    summary: "Renames an object, or with a slash at the end of both a whole directory.",
    body: schemas.renameBody,
    needs: async (access, { body }) => await mayRename(access, body as RenameBody),
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
    needs: (access, call) => access.object("s3:GetObject", param(call, "key")),
    answers: { 200: schemas.explainSchema },
    run: async (service, call) => ok(explainView(await service.explain(call.ctx, param(call, "key")))),
  },
  {
    method: "GET",
    path: "/api/v1/usage",
    summary: "Objects and bytes below a prefix, in all and by site.",
    query: schemas.usageQuery,
    needs: shownAsSeen,
    answers: { 200: schemas.usageSchema },
    run: async (service, { ctx, access, query }) => {
      const prefix = (query as z.infer<typeof schemas.usageQuery>).prefix ?? "";
      return ok(usageView(await visibleUsage({ service, ctx, access }, prefix)));
    },
  },
  {
    method: "POST",
    path: "/api/v1/replicate",
    summary: "Queues a copy of an object from one site to another, ahead of all other jobs.",
    body: schemas.replicateBody,
    needs: async (access, { body }) => await mayReplicate(access, body as z.infer<typeof schemas.replicateBody>),
    answers: { 202: schemas.jobSchema },
    run: async (service, { ctx, body }) => ({
      status: 202,
      body: jobView(await service.replicate(ctx, body as z.infer<typeof schemas.replicateBody>)),
    }),
  },
  {
    method: "GET",
    path: "/api/v1/jobs",
    summary:
      "Background jobs, oldest first or newest first, how many there are in each state, and since when all are paused.",
    query: schemas.jobsQuery,
    needs: shownAsSeen,
    answers: { 200: schemas.jobsSchema },
    run: async (service, { ctx, access, query }) => {
      const { state, limit, continuation, order, counts } = query as z.infer<typeof schemas.jobsQuery>;
      const page = await listVisibleJobs(
        { service, ctx, access },
        {
          limit: limit ?? 100,
          ...(state === undefined ? {} : { state }),
          ...(continuation === undefined ? {} : { after: continuation }),
          ...(order === undefined ? {} : { newestFirst: order === "newest" }),
          ...(counts === undefined ? {} : { counts }),
        },
      );
      return ok(jobPageView(page));
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/pause",
    summary: "Stops all jobs until they are resumed, also over a restart.",
    needs: (access) => access.operation("globalfs:PauseJobs"),
    body: schemas.pauseBody,
    answers: { 204: undefined },
    run: async (service, call) => {
      await service.pauseAllJobs(call.ctx, true, orderOf(call));
      return { status: 204 };
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/resume",
    summary: "Lets all jobs go on.",
    needs: (access) => access.operation("globalfs:PauseJobs"),
    answers: { 204: undefined },
    run: async (service, call) => {
      await service.pauseAllJobs(call.ctx, false, orderOf(call));
      return { status: 204 };
    },
  },
  {
    method: "GET",
    path: "/api/v1/jobs/{id}",
    summary: "One job.",
    needs: shownAsSeen,
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => ok(jobView(await checkJob({ service, ...call }, jobId(call), "see"))),
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/pause",
    summary: "Stops one job; what it has moved is kept.",
    body: schemas.pauseBody,
    needs: shownAsSeen,
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => {
      await checkJob({ service, ...call }, jobId(call), "change");
      return ok(jobView(await service.pauseJob(call.ctx, jobId(call), orderOf(call))));
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/resume",
    summary: "Lets one job go on, or a failed one try again.",
    needs: shownAsSeen,
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => {
      await checkJob({ service, ...call }, jobId(call), "change");
      return ok(jobView(await service.resumeJob(call.ctx, jobId(call))));
    },
  },
  {
    method: "POST",
    path: "/api/v1/jobs/{id}/cancel",
    summary: "Ends one job for good.",
    needs: shownAsSeen,
    answers: { 200: schemas.jobSchema },
    run: async (service, call) => {
      await checkJob({ service, ...call }, jobId(call), "change");
      return ok(jobView(await service.cancelJob(call.ctx, jobId(call))));
    },
  },
  ...MANY_ROUTES,
  ...FILE_ROUTES,
  ...QUOTA_ROUTES,
  ...SESSION_ROUTES,
  ...EVENT_ROUTES,
  ...KEY_ROUTES,
];

type AddSiteBody = z.infer<typeof schemas.addSiteBody>;

function siteOf(body: AddSiteBody): AddSite {
  const { name, role, foreign } = body;
  const rest = { ...(body.adopt === true ? { adopt: true } : {}), ...(foreign === undefined ? {} : { foreign }) };
  if ("uri" in body) return { name, role, uri: body.uri, ...rest };
  const query = new URLSearchParams();
  if (body.s3_region !== undefined && body.s3_region !== "") query.set("region", body.s3_region);
  if (body.s3_endpoint !== undefined && body.s3_endpoint !== "") query.set("endpoint", body.s3_endpoint);
  const suffix = query.size === 0 ? "" : `?${query.toString()}`;
  return { name, role, uri: `s3://${body.s3_bucket}${suffix}`, ...rest };
}

type RenameBody = z.infer<typeof schemas.renameBody>;

/** A file is read, taken away and put; a directory with all that is in it, so that no policy may be in the way anywhere below. */
async function mayRename(access: RequestAccess, { from, to }: RenameBody): Promise<void> {
  if (!from.endsWith("/")) {
    await access.object("s3:GetObject", from);
    await access.object("s3:DeleteObject", from);
    await access.object("s3:PutObject", to);
    return;
  }
  await access.directory(MOVED_AWAY, from);
  await access.directory(["s3:PutObject"], to);
  // The settings of a bucket go along, or are lost, and what its policy says with them.
  for (const path of [from, to])
    if (isTop(path)) await access.directory(["s3:DeleteBucket", "s3:PutBucketPolicy"], path);
}

const MOVED_AWAY = ["s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"];

function isTop(path: string): boolean {
  return path.indexOf("/") === path.length - 1;
}

async function mayReplicate(access: RequestAccess, { key }: { readonly key: string }): Promise<void> {
  access.operation("globalfs:Replicate", key);
  await access.object("s3:GetObject", key);
}

async function list(
  service: CoordinatorService,
  { ctx, access }: Call,
  query: z.infer<typeof schemas.listQuery>,
): Promise<Reply> {
  const { envelope, limit, prefix, delimiter, after, continuation, others } = query;
  const result = await listVisible(
    { service, ctx, access },
    {
      limit: limit ?? 1_000,
      ...(prefix === undefined ? {} : { prefix }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(after === undefined ? {} : { after }),
      ...(continuation === undefined ? {} : { continuation }),
      ...(others === undefined ? {} : { others }),
    },
  );
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
