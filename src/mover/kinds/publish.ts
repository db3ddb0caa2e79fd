import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import { type Copy, findOwner, findTombstone, giveUpHome, isBuried, LANDED_PREFIX } from "../../namespace/index.ts";
import { type CopyOptions, headIfThere, type ObjectInfo, type Site } from "../../stores/index.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { LANDING_MS, type MoverDeps } from "../context.ts";
import { jobsOfPath } from "../jobs.ts";
import { follow, publishArrived, removalOf } from "../follow-ups.ts";
import { type Done, done, type Outcome } from "../outcome.ts";
import type { Job } from "../types.ts";
import { findBlocker, giveUpClaim, recordAside } from "./blocker.ts";
import { claimHome, findMovable, isReadable, leaveHome, type Movable, recordMove, stepBehind } from "./homes.ts";

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

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Files that changed names with each other wait for each other. After so many looks one of them steps aside. */
const PATIENCE = 4;

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
  if (found.taken) return await waitForPath(ctx, job, { site, found, deps });
  const copy = found.copy.home === job.path ? found.copy : await deps.kv.transact((tx) => claimHome(tx, job, deps));
  if (copy === undefined) return { kind: "later", reason: "The file changed meanwhile.", delayMs: 0 };
  if (!isReadable(copy)) {
    // Whoever has brought them since has left it to this job, whose row was still there.
    const { inode, id: but } = job;
    const ifTheyCame = (tx: Transaction) => publishArrived(tx, deps, { inode, site: site.name, but });
    return done(ifTheyCame, "The bytes are not there yet; they are published when they have come.");
  }
  return await bringToPath(ctx, job, { site, found: { ...found, copy }, deps });
}

interface Way {
  readonly site: Site;
  readonly found: Movable;
  readonly deps: MoverDeps;
}

async function waitForPath(ctx: Ctx, job: Job, { site, found, deps }: Way): Promise<Outcome> {
  if (await stepBehind(job, deps)) return done(undefined, "Other jobs of the path go first; another one publishes it.");
  if (job.attempts >= PATIENCE && (await stepAside(ctx, job, { site, found, deps })))
    return { kind: "later", reason: `Another file's object has left ${job.path}.`, delayMs: 0 };
  if (job.attempts < PATIENCE || job.key.startsWith(LANDED_PREFIX) || !isReadable(found.copy))
    return later(job, `The key ${job.path} still belongs to another file's object.`);
  const info = await copyTo(ctx, job, { site, to: asideKey(job), conditions: {}, found, deps });
  return record(job, { site, from: found.copy, to: asideKey(job), info, deps });
}

/** The other one, where no job takes it away. Resolves with whether it did. */
async function stepAside(ctx: Ctx, job: Job, way: Way): Promise<boolean> {
  const { site, deps } = way;
  const blocker = await deps.kv.view((tx) => findBlocker(tx, job));
  if (blocker === undefined) return false;
  const { version, copy } = blocker;
  if (copy.key !== job.path) {
    await deps.kv.transact((tx) => giveUpClaim(tx, blocker, job.path, deps));
    return true;
  }
  const to = asideKey(blocker.job);
  const found = { ...way.found, version, copy };
  const { etag } = await copyTo(ctx, blocker.job, { ...way, found, to, conditions: {} });
  await site.store.flush(ctx, to);
  await deps.kv.transact((tx) => recordAside(tx, blocker, { to, etag }, deps));
  return true;
}

function later(job: Job, reason: string): Outcome {
  return { kind: "later", reason, delayMs: Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** job.attempts) };
}

function asideKey(job: Job): string {
  return `${LANDED_PREFIX}${job.versionId}-aside`;
}

async function bringToPath(ctx: Ctx, job: Job, way: Way): Promise<Outcome> {
  const { site, found, deps } = way;
  const { copy } = found;
  // What is replaced is gone for good: no power loss may take the version away because of which it goes.
  await deps.kv.flush();
  const expected = await replaceExpected(ctx, job, way);
  if (expected !== undefined) return record(job, { site, from: copy, to: job.path, info: expected, deps });
  const there = await headIfThere(ctx, site.store, job.path);
  const arrived = there !== undefined && isArrived(there, job, way);
  const verdict = there === undefined || arrived ? "ours" : await judge(job, { ...way, there });
  if (verdict === "under way") return later(job, `Somebody is about to write ${job.path}.`);
  if (verdict === "newer" && job.attempts < PATIENCE)
    return later(job, `A newer object that GlobalFS wrote lies under ${job.path}; its write may be under way still.`);
  if (verdict === "theirs") {
    const { inode, path } = job;
    const order = { inode, site: site.name, home: path, as: "left" as const, nowMs: deps.clock.nowMs() };
    await deps.kv.transact((tx) => giveUpHome(tx, order));
    return {
      kind: "failed",
      reason: `Another tool's object lies under ${path} at ${site.name}; the file keeps its object at ${job.key}.`,
    };
  }
  await deps.kv.flush();
  const conditions = there === undefined ? { ifNoneMatch: "*" as const } : { ifMatch: there.etag };
  const info = arrived ? there : await copyTo(ctx, job, { ...way, to: job.path, conditions });
  return record(job, { site, from: copy, to: job.path, info, deps });
}

/** Where the site holds to a condition at no cost, what is to be replaced need not be looked at. Undefined: something else lies there. */
async function replaceExpected(ctx: Ctx, job: Job, way: Way): Promise<ObjectInfo | undefined> {
  const { replaces } = way.found.copy;
  if (replaces === undefined || !way.site.store.capabilities.conditionalCopies) return undefined;
  try {
    return await copyTo(ctx, job, { ...way, to: job.path, conditions: { ifMatch: replaces } });
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed")) throw error;
    return undefined;
  }
}

/** An attempt that lost its process had it there already, and said what the file is called now. */
function isArrived({ etag, metadata }: ObjectInfo, { path }: Job, { site, found, deps }: Way): boolean {
  const { version, copy } = found;
  if (etag !== copy.etag) return false;
  if (!site.store.capabilities.userMetadata) return true;
  const described = deps.describeWrite(path, version, found.file).metadata?.["globalfs-path"];
  return metadata["globalfs-version"] === version.id && metadata["globalfs-path"] === described;
}

/**
 * ours: what the version replaces, what a write of ours left that came to nothing, or what was deleted. newer: a write whose process is about to record it, or
 * has died; one that is not recorded by now finds the path claimed, and lands elsewhere. under way: its writer lives.
 */
async function judge(
  job: Job,
  { site, there, found, deps }: Way & { readonly there: ObjectInfo },
): Promise<"ours" | "newer" | "theirs" | "under way"> {
  const { version, copy } = found;
  if (there.etag === copy.replaces || site.foreign === "ignore") return "ours";
  const writtenId = there.metadata["globalfs-version"];
  if (writtenId !== undefined && (await isInFlight(job, { there, writtenId, deps }))) return "under way";
  const { metadata } = deps.describeWrite(job.path, version, found.file);
  if (writtenId !== undefined && there.metadata["globalfs-path"] === metadata?.["globalfs-path"])
    return writtenId <= version.id ? "ours" : "newer";
  return isBuried(await deps.kv.view((tx) => findTombstone(tx, job.path)), there) ? "ours" : "theirs";
}

/** Another writer's object, which the catalog may yet make the file's. One that a job behind this is to remove was the file's already. */
async function isInFlight(
  { versionId, path, site }: Job,
  { there, writtenId, deps }: { readonly there: ObjectInfo; readonly writtenId: string; readonly deps: MoverDeps },
): Promise<boolean> {
  if (writtenId === versionId || there.modifiedMs < deps.clock.nowMs() - LONGEST_LANDING_MS) return false;
  return await deps.kv.view(function* (tx): Program<boolean> {
    if (!(yield* deps.writer.isInFlight(tx, { key: path, versionId: writtenId }))) return false;
    const jobs = yield* jobsOfPath(tx, path, JOBS_BEHIND);
    return !jobs.some((job) => job.kind === "remove" && job.site === site && job.versionId === writtenId);
  });
}

const JOBS_BEHIND = 100;
/** A write that takes so long between its landing and the catalog is refused, with some time for clocks that differ. */
const LONGEST_LANDING_MS = 2 * LANDING_MS;

interface CopyOrder extends Way {
  readonly to: string;
  readonly conditions: CopyOptions;
}

/** Not durable yet: see `record`. */
async function copyTo(ctx: Ctx, job: Job, { site, to, found, deps, conditions }: CopyOrder): Promise<ObjectInfo> {
  const { version, copy } = found;
  const { conditionalCopies, conditionalWrites, conditionalCopyBytes = -1 } = site.store.capabilities;
  // A lock keeps out this process only: one that is held up here, and replaced meanwhile, must not go over what its successor has published.
  const conditional = conditionalCopies || conditionalWrites || version.sizeBytes <= conditionalCopyBytes;
  const { contentType, metadata } = deps.describeWrite(job.path, version, found.file);
  return await site.store.copy(ctx, job.key, to, {
    mayShare: true,
    durability: "visible",
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

/** Also of what was there already: whoever put it there may have died before it was flushed. */
function record(job: Job, move: Move): Outcome {
  const { site, from, to, deps } = move;
  let moved = false;
  const program = function* (tx: Transaction): Program<void> {
    moved = yield* recordMove(tx, job, move);
  };
  const settled: Done = { ...done(program), stays: async (ctx) => await site.store.flush(ctx, to) };
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
    // What a loss of power brings back belongs to nobody, and the sweep finds it.
    await site.store.delete(ctx, from.key, { durability: "visible" });
  } catch (error) {
    deps.log.debug("landed_object_left", { key: from.key, error: String(error) });
    await deps.kv.transact((tx) => follow(tx, deps, removalOf(job, from)));
  }
}

/** An earlier attempt may have made the copy and lost the answer; by now no file owns it. */
async function removeOwnStray(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<void> {
  if ((await deps.kv.view((tx) => findOwner(tx, site.name, job.key))) !== undefined) return;
  const info = await headIfThere(ctx, site.store, job.key);
  if (info?.metadata["globalfs-version"] !== job.versionId) return;
  await deps.kv.flush();
  try {
    await site.store.delete(ctx, job.key, { ifMatch: info.etag });
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed")) throw error;
  }
}
