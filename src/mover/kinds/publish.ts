import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import {
  type Copy,
  type FileVersion,
  findByInode,
  findFile,
  findOwner,
  findTombstone,
  isBuried,
  isHeld,
  setCopy,
} from "../../namespace/index.ts";
import type { CopyOptions, ObjectInfo, Site } from "../../stores/index.ts";
import type { MoverDeps } from "../context.ts";
import { type Enqueue, enqueueJob } from "../jobs.ts";
import { done, type Outcome } from "../outcome.ts";
import type { Job, JobSpec } from "../types.ts";

/**
 * Brings a file's object from the key where it landed, or where the file was before a rename, to the file's path, so that other tools find it there. The
 * path is claimed in the catalog before anything is put under it, and readers follow the catalog all the time.
 */
export async function publish(ctx: Ctx, job: Job, deps: MoverDeps): Promise<Outcome> {
  const site = deps.sites.find(job.site);
  if (site === undefined) return done(undefined, `Site ${job.site} is not registered any more.`);
  if (job.key === job.path) return done(undefined, "The object is where it belongs.");
  if (!site.store.capabilities.serverSideCopy)
    return { kind: "failed", reason: `Site ${job.site} cannot copy objects by itself; the object keeps its key.` };
  const work = async (): Promise<Outcome> => await bringHome(ctx, job, site, deps);
  return needsLock(job, site) ? await deps.locks.run(job.path, work) : await work();
}

const LARGE_BYTES = 64 * 1024 ** 2;

/**
 * Nobody of this process writes under the path meanwhile. Where bytes move for a while, the site itself holds that nothing came in between.
 */
function needsLock({ sizeBytes }: Job, { store }: Site): boolean {
  const { conditionalCopies, conditionalWrites } = store.capabilities;
  return conditionalCopies || !conditionalWrites || sizeBytes <= LARGE_BYTES;
}

interface Movable {
  readonly version: FileVersion;
  readonly copy: Copy;
  /** The path is another file's key still. */
  readonly taken: boolean;
  /** That object is an older version's, and stays there as long as that does. What is open and has no name goes sooner. */
  readonly kept: boolean;
}

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Files that changed names with each other wait for each other. After so many looks one of them steps aside. */
const PATIENCE = 4;
const LANDED_PREFIX = ".globalfs/landed/";

async function bringHome(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<Outcome> {
  const found = await deps.kv.view((tx) => findMovable(tx, job));
  if (found === undefined) {
    await deps.kv.transact((tx) => leaveHome(tx, job, deps));
    for (const key of [job.path, asideKey(job)]) await removeOwnStray(ctx, { ...job, key }, site, deps);
    return done(
      undefined,
      "The file was renamed or written anew; its object is where it belongs, or another job moves it.",
    );
  }
  if (found.kept) return done(undefined, `An older version lies under ${job.path}; the object keeps its key.`);
  const delayMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** job.attempts);
  if (found.copy.state === "pending") return { kind: "later", reason: "The bytes are still on their way.", delayMs };
  if (!found.taken) return await bringToPath(ctx, job, { site, found, deps });
  if (job.attempts < PATIENCE || job.key.startsWith(LANDED_PREFIX))
    return { kind: "later", reason: `The key ${job.path} still belongs to another file's object.`, delayMs };
  const info = await copyTo(ctx, job, { site, to: asideKey(job), found, deps });
  return record(job, { site, from: found.copy, to: asideKey(job), info, deps });
}

function* findMovable(tx: Transaction | Parameters<typeof findFile>[0], job: Job): Program<Movable | undefined> {
  const file = yield* findFile(tx, job.path);
  const copy = file?.version?.copies.find((each) => each.site === job.site);
  if (file?.inode !== job.inode || file.version === undefined || copy?.key !== job.key) return undefined;
  if (copy.state === "stale" || copy.state === "failed") return undefined;
  const owner = yield* findOwner(tx, job.site, job.path);
  const taken = owner !== undefined && owner.inode !== job.inode;
  const kept = taken && (yield* findByInode(tx, owner.inode))?.linkCount === 0 && !(yield* isHeld(tx, owner.inode));
  return { version: file.version, copy, taken, kept };
}

function asideKey(job: Job): string {
  return `${LANDED_PREFIX}${job.versionId}-aside`;
}

interface Way {
  readonly site: Site;
  readonly found: Movable;
  readonly deps: MoverDeps;
}

async function bringToPath(ctx: Ctx, job: Job, { site, found, deps }: Way): Promise<Outcome> {
  const copy = found.copy.home === job.path ? found.copy : await claimHome(job, deps);
  if (copy === undefined) return { kind: "later", reason: "The file changed meanwhile.", delayMs: 0 };
  const there = await headIfThere(ctx, site, job.path);
  const arrived = there?.metadata["globalfs-version"] === found.version.id && there.etag === copy.etag;
  if (there !== undefined && !arrived && !(await mayReplace(job, { site, there, copy, found, deps }))) {
    await deps.kv.transact((tx) => giveUpHome(tx, job, deps.clock.nowMs()));
    return {
      kind: "failed",
      reason: `Another tool's object lies under ${job.path} at ${site.name}; the file keeps its object at ${job.key}.`,
    };
  }
  const from = { ...found, copy };
  const info =
    arrived && isDescribed(there, job, found, deps)
      ? there
      : await copyTo(ctx, job, { site, to: job.path, found: from, deps, there });
  return record(job, { site, from: copy, to: job.path, info, deps });
}

/** Nobody else may put anything under the path from here on. */
async function claimHome(job: Job, deps: MoverDeps): Promise<Copy | undefined> {
  return await deps.kv.transact(function* (tx): Program<Copy | undefined> {
    const found = yield* findMovable(tx, job);
    if (found === undefined || found.taken) return undefined;
    const copy: Copy = { ...withoutHome(found.copy), home: job.path };
    const { inode, versionId: _ } = job;
    yield* setCopy(tx, { inode, versionId: found.version.id, copy, nowMs: deps.clock.nowMs() });
    return copy;
  });
}

function withoutHome({ home: _home, replaces: _replaces, ...copy }: Copy): Copy {
  return copy;
}

interface Meeting extends Way {
  readonly there: ObjectInfo;
  readonly copy: Copy;
}

/** What lies there is what the version replaces, what a write of ours left that came to nothing, or what was deleted. */
async function mayReplace(job: Job, { site, there, copy, found, deps }: Meeting): Promise<boolean> {
  if (there.etag === copy.replaces || site.foreign === "ignore") return true;
  const { metadata } = deps.describeWrite(job.path, found.version);
  const own = there.metadata["globalfs-version"] !== undefined;
  if (own && there.metadata["globalfs-path"] === metadata?.["globalfs-path"]) return true;
  return isBuried(await deps.kv.view((tx) => findTombstone(tx, job.path)), there);
}

/** An attempt that lost its process had it there already. */
function isDescribed({ metadata }: ObjectInfo, { path }: Job, { version }: Movable, deps: MoverDeps): boolean {
  return metadata["globalfs-path"] === deps.describeWrite(path, version).metadata?.["globalfs-path"];
}

interface CopyOrder extends Way {
  readonly to: string;
  readonly there?: ObjectInfo | undefined;
}

async function copyTo(ctx: Ctx, job: Job, { site, to, found, deps, there }: CopyOrder): Promise<ObjectInfo> {
  const { version, copy } = found;
  const { conditionalCopies, conditionalWrites } = site.store.capabilities;
  const conditional = conditionalCopies || (conditionalWrites && !needsLock(job, site));
  const conditions: CopyOptions = there === undefined ? { ifNoneMatch: "*" } : { ifMatch: there.etag };
  const { contentType, metadata } = deps.describeWrite(job.path, version);
  return await site.store.copy(ctx, job.key, to, {
    mayShare: true,
    ...(conditional && to === job.path ? conditions : {}),
    ...(copy.etag === undefined ? {} : { sourceIfMatch: copy.etag }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(metadata === undefined ? {} : { metadata }),
  });
}

interface Move {
  readonly site: Site;
  readonly from: Copy;
  readonly to: string;
  readonly info: ObjectInfo;
  readonly deps: MoverDeps;
}

function record(job: Job, move: Move): Outcome {
  const { site, from, deps } = move;
  let moved = false;
  const settled = done(function* (tx) {
    moved = yield* recordMove(tx, job, move);
  });
  if (!from.key.startsWith(LANDED_PREFIX)) return settled;
  // Should the process die before, the sweep finds it: nobody owns it any more.
  return {
    ...settled,
    after: async (ctx) => {
      if (moved) await removeLanded(ctx, job, { site, from, deps });
    },
  };
}

async function removeLanded(
  ctx: Ctx,
  job: Job,
  { site, from, deps }: Pick<Move, "site" | "from" | "deps">,
): Promise<void> {
  try {
    await site.store.delete(ctx, from.key, from.etag === undefined ? {} : { ifMatch: from.etag });
  } catch (error) {
    deps.log.debug("landed_object_left", { key: from.key, error: String(error) });
    await deps.kv.transact((tx) => enqueueJob(tx, removalOf(job, from), orderOf(deps)));
  }
}

function removalOf(
  { path, inode, versionId, site }: Job,
  { key, etag }: { readonly key: string; readonly etag?: string | undefined },
): JobSpec {
  const spec = { kind: "remove" as const, path, inode, versionId, site, key, sizeBytes: 0, priority: 20 };
  return etag === undefined ? spec : { ...spec, etag };
}

function orderOf(deps: MoverDeps): Enqueue {
  return { id: deps.nextJobId(), nowMs: deps.clock.nowMs() };
}

/** Whichever of the two objects has no owner now is to go; one that only stepped aside is to come back. */
function* recordMove(tx: Transaction, job: Job, { from, to, info, deps }: Move): Program<boolean> {
  const nowMs = deps.clock.nowMs();
  const { path, inode, site } = job;
  // A directory above it may have been renamed during the copy, or the file written anew.
  const found = yield* findMovable(tx, job);
  if (found === undefined || found.copy.key !== from.key) {
    yield* leaveHome(tx, job, deps);
    if ((yield* findOwner(tx, site, to)) !== undefined) return false;
    yield* enqueueJob(tx, removalOf(job, { key: to, etag: info.etag }), orderOf(deps));
    return false;
  }
  const copy: Copy = { ...withoutHome(found.copy), key: to, etag: info.etag, changedMs: nowMs };
  yield* setCopy(tx, { inode, versionId: found.version.id, copy, nowMs });
  if (!from.key.startsWith(LANDED_PREFIX)) yield* enqueueJob(tx, removalOf(job, from), orderOf(deps));
  if (to !== path) {
    const { versionId, sizeBytes } = job;
    const again: JobSpec = { kind: "publish", path, inode, versionId, site, key: to, sizeBytes, priority: 20 };
    yield* enqueueJob(tx, again, orderOf(deps));
  }
  return true;
}

/** A directory above the file was renamed: what lies under its old path has no owner any more. */
function* leaveHome(tx: Transaction, job: Job, deps: MoverDeps): Program<void> {
  const { path, inode } = job;
  const nowMs = deps.clock.nowMs();
  if ((yield* findFile(tx, path))?.inode === inode) return;
  const copy = yield* giveUpHome(tx, job, nowMs);
  if (copy === undefined) return;
  yield* enqueueJob(tx, removalOf(job, { key: path, etag: copy.replaces }), orderOf(deps));
}

/** Resolves with the copy as it was, when the path was claimed for it. */
function* giveUpHome(tx: Transaction, { path, inode, site }: Job, nowMs: number): Program<Copy | undefined> {
  const version = (yield* findByInode(tx, inode))?.version;
  const copy = version?.copies.find((each) => each.site === site);
  if (version === undefined || copy?.home !== path) return undefined;
  yield* setCopy(tx, { inode, versionId: version.id, copy: withoutHome(copy), nowMs });
  return copy;
}

/** An earlier attempt may have made the copy and lost the answer; by now no file owns it. */
async function removeOwnStray(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<void> {
  if ((await deps.kv.view((tx) => findOwner(tx, site.name, job.key))) !== undefined) return;
  const info = await headIfThere(ctx, site, job.key);
  if (info?.metadata["globalfs-version"] !== job.versionId) return;
  try {
    await site.store.delete(ctx, job.key, { ifMatch: info.etag });
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed")) throw error;
  }
}

async function headIfThere(ctx: Ctx, site: Site, key: string): Promise<ObjectInfo | undefined> {
  try {
    return await site.store.head(ctx, key);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}
