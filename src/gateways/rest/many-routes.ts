import type { z } from "zod";
import type { CopyObject, CoordinatorService, DeleteOutcome } from "../../coordinator/index.ts";
import { forEachBounded } from "../../core/async/for-each.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import { type Identity, ownerOfNew, splitAtBucket } from "../../security/index.ts";
import { describeError } from "./errors.ts";
import { type Call, type Reply, type Route, shownAsSeen } from "./route.ts";
import * as schemas from "./schemas.ts";
import { objectView } from "./views.ts";

/** What moves bytes or removes objects without any of them passing through the client. */

const CONCURRENCY = 32;

export const MANY_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/api/v1/copy",
    summary:
      "Copies an object within the namespace: its bytes, type, metadata and tags. Sites that hold it copy by themselves where they can.",
    body: schemas.copyBody,
    needs: async (access, { body }) => {
      const { from, to } = body as z.infer<typeof schemas.copyBody>;
      await access.object("s3:GetObject", from);
      await access.object("s3:PutObject", to);
    },
    long: true,
    answers: { 201: schemas.putSchema, 202: schemas.putSchema },
    run: async (service, call) => await copy(service, call),
  },
  {
    method: "POST",
    path: "/api/v1/delete",
    summary: "Deletes many objects; each has an outcome of its own. 207 when some could not be deleted.",
    body: schemas.deleteBody,
    // Each key is asked about by itself.
    needs: shownAsSeen,
    long: true,
    answers: { 200: schemas.deletedSchema, 207: schemas.deletedSchema },
    run: async (service, call) => await deleteMany(service, call),
  },
];

async function copy(service: CoordinatorService, { ctx, access, body }: Call): Promise<Reply> {
  const { from, to, overwrite } = body as z.infer<typeof schemas.copyBody>;
  const owner = ownerOfNew(access.identity, await service.storedBucket(splitAtBucket(to).bucketName));
  const request: CopyObject = {
    from: { key: from },
    key: to,
    ...(overwrite === true ? {} : { conditions: { ifNoneMatch: ["*"] } }),
    ...(owner === undefined ? {} : { owner }),
  };
  try {
    const { meta, pendingSites } = await service.copyObject(ctx, request);
    return pendingSites.length === 0
      ? { status: 201, body: objectView(meta) }
      : { status: 202, body: { ...objectView(meta), pending_sites: pendingSites } };
  } catch (error) {
    if (overwrite === true || !isGfsError(error, "PreconditionFailed")) throw error;
    throw new GfsError("AlreadyExists", `${to} exists already; allow overwriting to replace it.`, { cause: error });
  }
}

function ownerOfMarker(identity: Identity): { readonly owner?: string } {
  const owner = ownerOfNew(identity, undefined);
  return owner === undefined ? {} : { owner };
}

async function deleteMany(service: CoordinatorService, { ctx, access, told, body }: Call): Promise<Reply> {
  const { keys } = body as z.infer<typeof schemas.deleteBody>;
  const outcomes: DeleteOutcome[] = [];
  const asked: { readonly key: string; readonly index: number }[] = [];
  await forEachBounded(keys, CONCURRENCY, async (key, index) => {
    try {
      await access.object(deleteAction(key), key);
      asked.push({ key, index });
    } catch (error) {
      if (!isGfsError(error)) throw error;
      outcomes[index] = { error };
    }
  });
  told.paths = asked.map(({ key }) => key);
  told.refusedPaths = keys.filter((_key, index) => outcomes[index] !== undefined);
  const owner = ownerOfMarker(access.identity);
  const done = await service.deleteObjects(
    ctx,
    asked.map(({ key }) => ({ key, ...owner })),
  );
  for (const [position, { index }] of asked.entries()) outcomes[index] = done[position] as DeleteOutcome;
  const results = keys.map((key, index) => outcomeView(ctx, key, outcomes[index] as DeleteOutcome));
  return { status: results.some(({ code }) => code !== undefined) ? 207 : 200, body: { results } };
}

/** A directory at the top is a bucket. */
export function deleteAction(key: string): string {
  return key.indexOf("/") === key.length - 1 ? "s3:DeleteBucket" : "s3:DeleteObject";
}

type Outcome = z.infer<typeof schemas.deletedSchema>["results"][number];

function outcomeView({ requestId, log }: Call["ctx"], key: string, outcome: DeleteOutcome): Outcome {
  if ("error" in outcome) {
    const { error, code } = describeError(outcome.error, requestId, log).body;
    return { key, deleted: false, error, code };
  }
  const { deleted, pendingSites } = outcome.result;
  return { key, deleted, ...(pendingSites.length === 0 ? {} : { pending_sites: [...pendingSites] }) };
}
