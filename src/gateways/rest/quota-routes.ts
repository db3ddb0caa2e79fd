import type { z } from "zod";
import type { RequestAccess } from "./access/request-access.ts";
import { type Call, ok, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { directoryUsageView } from "./views.ts";

const pathOf = ({ query }: Call): string => (query as z.infer<typeof schemas.quotaQuery>).path ?? "";

/** Of all that lies below, whoever may list it all. */
async function maySee(access: RequestAccess, path: string): Promise<void> {
  if (path.replace(/\/$/, "") === "") access.operation("globalfs:GetInfo");
  else await access.directory(["s3:ListBucket"], path);
}

/** What directories take, as the catalog keeps it, and how much they may. */
export const QUOTA_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/quota",
    summary: "How much lies below a directory, without a walk, and how much may.",
    query: schemas.quotaQuery,
    needs: async (access, call) => await maySee(access, pathOf(call)),
    answers: { 200: schemas.directoryUsageSchema },
    run: async (service, call) => ok(directoryUsageView(await service.directoryUsage(call.ctx, pathOf(call)))),
  },
  {
    method: "POST",
    path: "/api/v1/quota",
    summary: "Sets how much may lie below a directory; what is there already counts, and stays.",
    body: schemas.quotaBody,
    needs: (access, { body }) => access.operation("globalfs:ChangeQuotas", (body as QuotaBody).path),
    answers: { 200: schemas.directoryUsageSchema },
    run: async (service, { ctx, body }) => {
      const { path, max_bytes: maxBytes, max_inodes: maxInodes } = body as QuotaBody;
      const limits = {
        ...(maxBytes === undefined ? {} : { maxBytes }),
        ...(maxInodes === undefined ? {} : { maxInodes }),
      };
      return ok(directoryUsageView(await service.setQuota(ctx, path, limits)));
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/quota",
    summary: "Takes the quota of a directory away.",
    query: schemas.quotaQuery,
    needs: (access, call) => access.operation("globalfs:ChangeQuotas", pathOf(call)),
    answers: { 204: undefined },
    run: async (service, call) => {
      await service.clearQuota(call.ctx, pathOf(call));
      return { status: 204 };
    },
  },
];

type QuotaBody = z.infer<typeof schemas.quotaBody>;
