import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { findFile, keepsVersions, rulesOf } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { clearNow, type Deleted, deleteObject, recordDelete, resultOf } from "./delete.ts";
import { locate } from "../foreign/lookup.ts";
import type { Kit } from "../kit.ts";
import type { DeleteOutcome, DeleteRequest, DeleteResult } from "../service/service.ts";
import { settleMoved } from "../foreign/moved.ts";
import { askSites, type UnknownKey } from "../foreign/unknown-key.ts";

/** So many keys go together: their locks are held at the same time. */
const KEYS_A_PAGE = 128;
/** Strips of a page commit side by side, each as many keys at a time as a transaction has room for. */
const STRIPS = 8;
const LEAST_IN_A_STRIP = 8;
const PARALLEL = 32;

/**
 * Many keys, each with an outcome of its own. Those whose current version goes unconditionally share commits; any other is deleted by itself, and
 * so is every key whose commit failed.
 */
export async function deleteObjects(kit: Kit, ctx: Ctx, requests: readonly DeleteRequest[]): Promise<DeleteOutcome[]> {
  const outcomes: DeleteOutcome[] = Array.from({ length: requests.length });
  const alone: number[] = [];
  for (let from = 0; from < requests.length; from += KEYS_A_PAGE) {
    const together = await chooseTogether(kit, requests, { from, to: from + KEYS_A_PAGE, alone });
    if (together.length === 0) continue;
    const found = await deleteTogether(kit, ctx, together);
    for (const [position, { index }] of together.entries()) {
      const outcome = found[position];
      if (outcome === undefined) alone.push(index);
      else outcomes[index] = outcome;
    }
  }
  await forEachBounded(alone, PARALLEL, async (index) => {
    const { key, ...options } = requests[index] as DeleteRequest;
    outcomes[index] = await outcomeOf(async () => await deleteObject(kit, ctx, key, options));
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
  kit: Kit,
  requests: readonly DeleteRequest[],
  { from, to, alone }: Span,
): Promise<Chosen[]> {
  const chosen = new Map<FilePath, Chosen>();
  for (const [offset, request] of requests.slice(from, to).entries()) {
    const index = from + offset;
    const path = plainPathOf(request);
    // A key that somebody works on would keep all the others waiting.
    if (path === undefined || chosen.has(path) || kit.locks.isHeld(path)) alone.push(index);
    else chosen.set(path, { index, path, request });
  }
  const unknown = await readCatalog(kit.kv, function* (tx): Program<FilePath[]> {
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

/** Undefined for a key whose commit failed: nothing has happened to it. */
async function deleteTogether(
  kit: Kit,
  ctx: Ctx,
  chosen: readonly Chosen[],
): Promise<readonly (DeleteOutcome | undefined)[]> {
  return await lockAll(kit, chosen.map(({ path }) => path).sort(), async () => {
    const deleted = await commitDeletes(kit, ctx, chosen);
    const outcomes: (DeleteOutcome | undefined)[] = Array.from({ length: chosen.length });
    await forEachBounded(chosen, PARALLEL, async ({ path }, position) => {
      const done = deleted[position];
      if (done === undefined) return;
      outcomes[position] = await outcomeOf(async () =>
        resultOf(await clearNow(kit, ctx, { path, places: done.places }), done),
      );
    });
    return outcomes;
  });
}

/** What the catalog does not know may be at the sites. */
async function askOfUnknown(kit: Kit, ctx: Ctx, chosen: readonly Chosen[]): Promise<readonly Chosen[]> {
  await forEachBounded(chosen, PARALLEL, async ({ path }) => await settleMoved(kit, ctx, path));
  const known = await readCatalog(kit.kv, function* (tx): Program<boolean[]> {
    const found: boolean[] = [];
    for (const { path } of chosen) found.push((yield* findFile(tx, path)) !== undefined);
    return found;
  });
  const asked = [...chosen];
  await forEachBounded(chosen, PARALLEL, async (one, position) => {
    if (known[position] !== true) asked[position] = { ...one, unknown: await askSites(kit, ctx, one.path) };
  });
  return asked;
}

async function commitDeletes(kit: Kit, ctx: Ctx, chosen: readonly Chosen[]): Promise<readonly (Deleted | undefined)[]> {
  const deleted: (Deleted | undefined)[] = Array.from({ length: chosen.length });
  try {
    const asked = await askOfUnknown(kit, ctx, chosen);
    const length = Math.max(LEAST_IN_A_STRIP, Math.ceil(asked.length / STRIPS));
    await forEachBounded(Array.from({ length: STRIPS }).keys(), STRIPS, async (strip) => {
      const [from, to] = [strip * length, Math.min(asked.length, (strip + 1) * length)];
      for (let next = from; next < to;) {
        for (const done of await commitSome(kit, asked.slice(next, to))) deleted[next++] = done;
      }
    });
  } catch (error) {
    kit.log.info("deletes_not_together", { keys: chosen.length, error: toGfsError(error).message });
  }
  return deleted;
}

/** One transaction, with as many of the keys, from the first on, as it has room for. */
async function commitSome(kit: Kit, chosen: readonly Chosen[]): Promise<readonly (Deleted | undefined)[]> {
  const nowMs = kit.clock.nowMs();
  const orders = chosen.map(({ path, request, unknown }) => ({
    path,
    tombstoneVersionId: kit.nextVersionId(),
    ...(request.owner === undefined ? {} : { owner: request.owner }),
    ...(unknown === undefined ? {} : { unknown }),
  }));
  const sites = kit.sites.list().length;
  const room = { writes: 45 + 6 * sites, sizeBytes: (64 + 16 * sites) * 1_024 };
  return await kit.inodes.transact(function* (tx, nextInode): Program<readonly (Deleted | undefined)[]> {
    const deleted: (Deleted | undefined)[] = [];
    for (const { tombstoneVersionId, ...order } of orders) {
      if (deleted.length > 0 && !tx.hasRoom(room)) break;
      deleted.push(yield* recordDelete(tx, kit, order, { nowMs, tombstoneVersionId, nextInode }));
    }
    return deleted;
  });
}

/** In the order of their names, as everybody who holds more than one takes them. */
async function lockAll<T>(kit: Kit, paths: readonly FilePath[], work: () => Promise<T>, index = 0): Promise<T> {
  const path = paths[index];
  if (path === undefined) return await work();
  return await kit.locks.run(path, async () => await lockAll(kit, paths, work, index + 1));
}
