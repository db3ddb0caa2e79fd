import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { FilePath, Inode, VersionId } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import {
  commitVersion,
  type Copy,
  type FileRecord,
  findFile,
  findHistory,
  findOwner,
  isDeleted,
  keyOfObject,
  keysFor,
  movesAt,
  readMoves,
  sameContent,
  setCopy,
  versionOf,
} from "../../namespace/index.ts";
import { enqueueJob, markUnqueued } from "../../mover/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { afterCommit } from "../copies/after-commit.ts";
import { chooseKeys } from "../copies/object-keys.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { sitesWithForeign } from "./first-import.ts";

/** Objects that are at a site but not in the catalog: from before, from other tools, or from a write that lost its process. */

export interface FoundObject {
  readonly site: Site;
  readonly info: ObjectInfo;
}

const PARALLEL_SITES = 8;

/** Whether an object at a site is nobody's yet and may show under the path: the name of its key, or of its directory's by now. */
export function* isAdoptable(
  tx: Reader,
  { writer }: Pick<ProgramKit, "writer">,
  { site, info, path }: FoundObject & { readonly path: FilePath },
): Program<boolean> {
  const key = info.key as FilePath;
  const moves = movesAt(yield* readMoves(tx), site.name);
  if (keyOfObject(moves, info) !== path) return false;
  if ((yield* findOwner(tx, site.name, key)) !== undefined) return false;
  const writtenId = info.metadata["globalfs-version"];
  if (writtenId !== undefined) {
    if (yield* writer.isInFlight(tx, { key, versionId: writtenId })) return false;
    // A stray copy of an older version is no new one.
    if ((yield* findHistory(tx, path, writtenId)) !== undefined) return false;
  }
  return !(yield* isDeleted(tx, moves, info));
}

export interface AskSites {
  /** What a listing of the directory said a moment ago is enough. */
  readonly listingIsEnough?: boolean;
}

/**
 * Asks every site that takes part, in routing order; the first in that order that has the object wins. A primary that cannot be
 * asked makes the answer unknown, and that is said: a file must not seem absent because its site is down.
 */
export async function adoptFromSites(
  kit: Kit,
  ctx: Ctx,
  path: FilePath,
  { listingIsEnough = false }: AskSites = {},
): Promise<FileRecord | undefined> {
  const route = kit.router.routeRead(path);
  const taking = new Set(await sitesWithForeign(kit));
  const moves = await readCatalog(kit.kv, readMoves);
  const asked: Question[] = [];
  for (const site of route.sites) {
    if (!taking.has(site)) continue;
    for (const key of keysFor(movesAt(moves, site.name), path) as readonly FilePath[]) {
      if (listingIsEnough && (await kit.coverage.lacks(ctx, site, key))) continue;
      asked.push({ site, key });
    }
  }
  const silent = new Map<string, unknown>();
  for (const skipped of route.skipped) {
    const site = kit.sites.find(skipped.site);
    if (site !== undefined && taking.has(site) && site.role === "primary") silent.set(site.name, skipped.reason);
  }
  const found = await headAll(ctx, asked, silent);
  if (found.length > 0) {
    // Our own writes show at their sites before the catalog knows them, and go again when they fail: those are waited for.
    const adopted = await kit.locks.run(path, async () => {
      const own = found.some(({ info }) => info.metadata["globalfs-version"] !== undefined);
      const still = own ? await headAll(ctx, asked, silent) : found;
      return await adopt(kit, path, still);
    });
    if (adopted !== undefined) return adopted;
  }
  if (silent.size > 0) {
    const names = [...silent.keys()].join(", ");
    throw new GfsError(
      "Unavailable",
      `Nobody can tell whether ${path} exists: site ${names} does not answer; try again when it does.`,
      {
        op: "coordinator.lookup",
        context: { path, sites: [...silent.keys()] },
      },
    );
  }
  return undefined;
}

interface Question {
  readonly site: Site;
  readonly key: FilePath;
}

/** In the order of the questions; primaries that do not answer become `silent`. */
async function headAll(ctx: Ctx, questions: readonly Question[], silent: Map<string, unknown>): Promise<FoundObject[]> {
  const answers = new Map<Question, ObjectInfo>();
  await forEachBounded(questions, PARALLEL_SITES, async (question) => {
    const { site, key } = question;
    try {
      answers.set(question, await site.store.head(ctx, key));
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (!isGfsError(error, "NotFound") && site.role === "primary") silent.set(site.name, error);
    }
  });
  const found: FoundObject[] = [];
  for (const question of questions) {
    const info = answers.get(question);
    if (info !== undefined) found.push({ site: question.site, info });
  }
  return found;
}

async function adopt(kit: Kit, path: FilePath, found: readonly FoundObject[]): Promise<FileRecord | undefined> {
  const nowMs = kit.clock.nowMs();
  const versionId = kit.nextVersionId();
  const { queueIsFull } = kit.mover;
  const file = await kit.inodes.transact(function* (tx, nextInode): Program<FileRecord | undefined> {
    const existing = yield* findFile(tx, path);
    if (existing !== undefined) return existing;
    const free: FoundObject[] = [];
    for (const candidate of found) {
      if (free.some(({ site }) => site === candidate.site)) continue;
      if (yield* isAdoptable(tx, kit, { ...candidate, path })) free.push(candidate);
    }
    if (free.length === 0) return undefined;
    const adopted = yield* commitAdopted(tx, kit, { path, found: free, versionId, nowMs, nextInode });
    // A write that lost its process is finished here: its other copies follow, as they would have done.
    if (free[0]?.info.metadata["globalfs-version"] !== undefined) {
      yield* enqueueCopies(tx, kit, { file: adopted, path, nowMs, queueIsFull });
    }
    return adopted;
  });
  kit.mover.wake();
  if (file !== undefined) kit.log.debug("foreign_object_adopted", { path, sites: found.map(({ site }) => site.name) });
  return file;
}

export interface Adoption {
  readonly path: FilePath;
  /** Best site first. Others become copies only when they hold the same bytes for sure. */
  readonly found: readonly FoundObject[];
  readonly versionId: VersionId;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

export function* commitAdopted(tx: Transaction, kit: ProgramKit, adoption: Adoption): Program<FileRecord> {
  const { path, found, versionId, nowMs, nextInode } = adoption;
  const best = found[0] as FoundObject;
  const copies = found
    .filter((candidate) => sameContent(best.info, candidate.info))
    .map((each) => foreignCopy(each, nowMs));
  const committed = yield* commitVersion(tx, {
    path,
    version: versionOf(best.info, copies, versionId),
    expect: { kind: "any" },
    nowMs,
    found: true,
    nextInode,
  });
  yield* afterCommit(tx, kit, { path, committed, nowMs });
  return committed.file;
}

function foreignCopy(found: FoundObject, nowMs: number): Copy {
  const ours = found.info.metadata["globalfs-version"] !== undefined;
  return {
    site: found.site.name,
    key: found.info.key,
    state: ours ? "present" : "foreign",
    etag: found.info.etag,
    changedMs: nowMs,
  };
}

export interface CopyOrder {
  readonly file: FileRecord;
  readonly path: FilePath;
  readonly nowMs: number;
  readonly queueIsFull: boolean;
}

/** A pending copy and the job that brings it, for every site that should have the committed version and does not. */
export function* enqueueCopies(
  tx: Transaction,
  kit: ProgramKit,
  { file, path, nowMs, queueIsFull }: CopyOrder,
): Program<void> {
  const { inode, version } = file;
  if (version === undefined) return;
  const { required, following } = kit.router.planWrite(path);
  const lacking = [...required, ...following].filter((site) => version.copies.every((copy) => copy.site !== site.name));
  const targets = yield* chooseKeys(tx, { path, sites: lacking, inode, versionId: version.id });
  for (const { site, objectKey: key } of targets) {
    const place = { path, inode, versionId: version.id, site: site.name };
    const copy: Copy = { site: site.name, key, state: "pending", changedMs: nowMs };
    yield* setCopy(tx, { inode, versionId: version.id, copy, nowMs });
    const spec = { ...place, kind: "replicate" as const, key, sizeBytes: version.sizeBytes, priority: 10 };
    if (!(yield* enqueueJob(tx, spec, { id: kit.nextJobId(), nowMs, queueIsFull }))) yield* markUnqueued(tx, place);
  }
}
