import { forEachBounded } from "../core/async/for-each.ts";
import type { Ctx } from "../core/context.ts";
import { toGfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import { findFile, keepsVersions, rulesOf } from "../namespace/index.ts";
import { compareKeys } from "../stores/index.ts";
import { readCatalog } from "./catalog-view.ts";
import { clearNow, type Deleted, deleteObject, recordDelete, resultOf } from "./delete.ts";
import { locate } from "./lookup.ts";
import type { Parts } from "./parts.ts";
import type { DeleteOutcome, DeleteRequest, DeleteResult } from "./service.ts";
import { askSites, type UnknownKey } from "./unknown-key.ts";

/** So many keys share a commit. Their locks are held together, so that they must not be too many either. */
const KEYS_A_COMMIT = 128;
const PARALLEL = 32;

/**
 * Many keys, each with an outcome of its own. Those whose current version goes unconditionally share commits; any other is deleted by itself, and
 * so is every key of a commit that failed.
 */
export async function deleteObjects(
  parts: Parts,
  ctx: Ctx,
  requests: readonly DeleteRequest[],
): Promise<DeleteOutcome[]> {
  const outcomes: DeleteOutcome[] = Array.from({ length: requests.length });
  const alone: number[] = [];
  for (let from = 0; from < requests.length; from += KEYS_A_COMMIT) {
    const together = await chooseTogether(parts, requests, { from, to: from + KEYS_A_COMMIT, alone });
    const done = together.length === 0 ? [] : await deleteTogether(parts, ctx, together);
    if (done === undefined) alone.push(...together.map(({ index }) => index));
    else for (const { index, outcome } of done) outcomes[index] = outcome;
  }
  await forEachBounded(alone, PARALLEL, async (index) => {
    const { key, ...options } = requests[index] as DeleteRequest;
    outcomes[index] = await outcomeOf(async () => await deleteObject(parts, ctx, key, options));
  });
  return outcomes;
}

async function outcomeOf(work: () => Promise<DeleteResult>): Promise<DeleteOutcome> {
  try {
    return { result: await work() };
  } catch (error) {
    return { error: toGfsError(error, "coordinator.delete") };
  }
}

interface Chosen {
  readonly index: number;
  readonly path: FilePath;
  readonly request: DeleteRequest;
  readonly unknown?: UnknownKey;
}

interface Span {
  readonly from: number;
  readonly to: number;
  /** Takes the others. */
  readonly alone: number[];
}

async function chooseTogether(
  parts: Parts,
  requests: readonly DeleteRequest[],
  { from, to, alone }: Span,
): Promise<Chosen[]> {
  const chosen = new Map<FilePath, Chosen>();
  for (const [offset, request] of requests.slice(from, to).entries()) {
    const index = from + offset;
    const path = plainPathOf(request);
    // A key that somebody works on would keep all the others waiting.
    if (path === undefined || chosen.has(path) || parts.locks.isHeld(path)) alone.push(index);
    else chosen.set(path, { index, path, request });
  }
  const unknown = await readCatalog(parts.kv, function* (tx): Program<FilePath[]> {
    const found: FilePath[] = [];
    for (const path of chosen.keys()) {
      // What only sites have becomes a version before it is hidden.
      if (keepsVersions(yield* rulesOf(tx, path)) && (yield* findFile(tx, path)) === undefined) found.push(path);
    }
    return found;
  });
  for (const path of unknown) {
    alone.push((chosen.get(path) as Chosen).index);
    chosen.delete(path);
  }
  return [...chosen.values()];
}

function plainPathOf({ key, conditions, versionId }: DeleteRequest): FilePath | undefined {
  if (conditions !== undefined || versionId !== undefined) return undefined;
  try {
    const { path, directory } = locate(key);
    return directory ? undefined : path;
  } catch {
    // Deleted by itself it says what is wrong with it.
    return undefined;
  }
}

/** Undefined when the commit failed, and nothing has happened. */
async function deleteTogether(
  parts: Parts,
  ctx: Ctx,
  chosen: readonly Chosen[],
): Promise<{ readonly index: number; readonly outcome: DeleteOutcome }[] | undefined> {
  return await lockAll(parts, chosen.map(({ path }) => path).sort(), async () => {
    let deleted: readonly Deleted[];
    try {
      deleted = await commitDeletes(parts, await askOfUnknown(parts, ctx, chosen));
    } catch (error) {
      parts.log.info("deletes_not_together", { keys: chosen.length, error: toGfsError(error).message });
      return undefined;
    }
    const done: { readonly index: number; readonly outcome: DeleteOutcome }[] = [];
    await forEachBounded(chosen, PARALLEL, async ({ path, index }, position) => {
      const { places, ...rest } = deleted[position] as Deleted;
      const outcome = await outcomeOf(async () =>
        resultOf(await clearNow(parts, ctx, { path, places }), {
          places,
          ...rest,
        }),
      );
      done.push({ index, outcome });
    });
    return done;
  });
}

/** What the catalog does not know may be at the sites. */
async function askOfUnknown(parts: Parts, ctx: Ctx, chosen: readonly Chosen[]): Promise<readonly Chosen[]> {
  const known = await readCatalog(parts.kv, function* (tx): Program<boolean[]> {
    const found: boolean[] = [];
    for (const { path } of chosen) found.push((yield* findFile(tx, path)) !== undefined);
    return found;
  });
  const asked = [...chosen];
  await forEachBounded(chosen, PARALLEL, async (one, position) => {
    if (known[position] !== true) asked[position] = { ...one, unknown: await askSites(parts, ctx, one.path) };
  });
  return asked;
}

async function commitDeletes(parts: Parts, chosen: readonly Chosen[]): Promise<readonly Deleted[]> {
  const nowMs = parts.clock.nowMs();
  const orders = chosen.map(({ path, request, unknown }, position) => ({
    position,
    path,
    tombstoneVersionId: parts.nextVersionId(),
    ...(request.owner === undefined ? {} : { owner: request.owner }),
    ...(unknown === undefined ? {} : { unknown }),
  }));
  // Backwards: whether a directory is empty now is seen from its first entry, and stepping over all that went before would cost the square of it.
  orders.sort((one, other) => compareKeys(other.path, one.path));
  return await parts.kv.transact(function* (tx): Program<readonly Deleted[]> {
    const deleted: Deleted[] = Array.from({ length: orders.length });
    for (const { position, tombstoneVersionId, ...order } of orders)
      deleted[position] = yield* recordDelete(tx, parts, order, { nowMs, tombstoneVersionId });
    return deleted;
  });
}

/** In the order of their names, as everybody who holds more than one takes them. */
async function lockAll<T>(parts: Parts, paths: readonly FilePath[], work: () => Promise<T>, index = 0): Promise<T> {
  const path = paths[index];
  if (path === undefined) return await work();
  return await parts.locks.run(path, async () => await lockAll(parts, paths, work, index + 1));
}
