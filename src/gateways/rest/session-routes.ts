import type { z } from "zod";
import { ok, param, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { leasesView, sessionView } from "./session-views.ts";

const MOST = 1_000;

/** Who caches what, and who may write and lock. */
export const SESSION_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/sessions",
    summary:
      "Clients that cache what they read: since when, how much, how far behind, and whether changes wait for them.",
    needs: (access) => access.operation("globalfs:GetInfo"),
    answers: { 200: schemas.sessionSchema.array() },
    run: async (service, { ctx }) => ok((await service.listSessions(ctx)).map(sessionView)),
  },
  {
    method: "DELETE",
    path: "/api/v1/sessions/{id}",
    summary:
      "Sends a session away: it gets nothing any more, and what it holds is let go of as soon as it cannot trust that any longer.",
    needs: (access) => access.operation("globalfs:EvictSession"),
    answers: { 202: undefined },
    run: async (service, call) => {
      await service.evictSession(call.ctx, param(call, "id"));
      return { status: 202 };
    },
  },
  {
    method: "GET",
    path: "/api/v1/leases",
    summary: "What sessions cover, write to by lease and have locked, and who waits; of one path, or of all.",
    query: schemas.leasesQuery,
    needs: (access) => access.operation("globalfs:GetInfo"),
    answers: { 200: schemas.leasesSchema },
    run: async (service, { ctx, query }) => {
      const { path, limit = MOST } = query as z.infer<typeof schemas.leasesQuery>;
      return ok(leasesView(await service.listLeases(ctx, { limit, ...(path === undefined ? {} : { path }) })));
    },
  },
];
