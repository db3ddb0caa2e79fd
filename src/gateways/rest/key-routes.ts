import type { z } from "zod";
import { explainPermission } from "./access/explain-permission.ts";
import { checkGiven } from "../../security/index.ts";
import { findVisibleKey, visibleKeys } from "./access/visible-keys.ts";
import { ok, param, type Route, shownAsSeen } from "./route.ts";
import * as schemas from "./schemas.ts";
import { accessKeyView, newAccessKeyView } from "./views.ts";

/** Access keys. Who administers a path makes, sees and revokes keys within it; every key may see itself, and end itself. */

export const KEY_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/keys",
    summary: "The access keys that the caller administers, and its own, without their secrets.",
    needs: shownAsSeen,
    answers: { 200: schemas.accessKeySchema.array() },
    run: async (service, call) => ok((await visibleKeys({ service, ...call })).map(accessKeyView)),
  },
  {
    method: "POST",
    path: "/api/v1/keys",
    summary:
      "Makes an access key, no mightier than who makes it. Its secret and its token are told only in this answer.",
    body: schemas.createAccessKeyBody,
    needs: ({ identity }, { body }) => checkGiven(identity, body as z.infer<typeof schemas.createAccessKeyBody>),
    answers: { 201: schemas.newAccessKeySchema },
    run: async (service, { ctx, access, body }) => {
      const {
        expires_in_seconds: lifetimeSeconds,
        id,
        secret,
        ...rest
      } = body as z.infer<typeof schemas.createAccessKeyBody>;
      const { accessKeyId, expiresMs } = access.identity;
      const key = await service.createAccessKey(ctx, {
        ...rest,
        ...(accessKeyId === "" ? {} : { createdBy: accessKeyId }),
        ...(expiresMs === undefined ? {} : { noLaterMs: expiresMs }),
        ...(lifetimeSeconds === undefined ? {} : { lifetimeMs: lifetimeSeconds * 1_000 }),
        ...(id === undefined ? {} : { id }),
        ...(secret === undefined ? {} : { secret }),
      });
      return { status: 201, body: newAccessKeyView(key), headers: { "Cache-Control": "no-store" } };
    },
  },
  {
    method: "GET",
    path: "/api/v1/keys/{id}",
    summary: "One access key, without its secret; `self` is the caller's.",
    needs: shownAsSeen,
    answers: { 200: schemas.accessKeySchema },
    run: async (service, call) => ok(accessKeyView(await findVisibleKey({ service, ...call }, param(call, "id")))),
  },
  {
    method: "GET",
    path: "/api/v1/keys/{id}/permissions",
    summary: "What an access key may do with a path, and what decides that.",
    query: schemas.permissionsQuery,
    needs: shownAsSeen,
    answers: { 200: schemas.permissionsSchema },
    run: async (service, call) => {
      const key = await findVisibleKey({ service, ...call }, param(call, "id"));
      const { path, action } = call.query as z.infer<typeof schemas.permissionsQuery>;
      return ok(await explainPermission({ service, ...call }, { key, path, action }));
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/keys/{id}",
    summary: "Revokes an access key: from now on nobody gets in with it.",
    needs: shownAsSeen,
    answers: { 204: undefined },
    run: async (service, call) => {
      const { id } = await findVisibleKey({ service, ...call }, param(call, "id"));
      await service.deleteAccessKey(call.ctx, id);
      return { status: 204 };
    },
  },
];
