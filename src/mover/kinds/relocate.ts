import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import {
  type Copy,
  type FileRecord,
  type FileVersion,
  entombKey,
  findByInode,
  findFile,
  findOwner,
  findTombstone,
  isBuried,
  setCopy,
} from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import type { MoverDeps } from "../context.ts";
import { enqueueJob } from "../jobs.ts";
import { done, type Outcome } from "../outcome.ts";
import type { Job, JobSpec } from "../types.ts";

/** Gives a renamed file's object the file's path as its key, so that other tools find it there. Readers follow the catalog meanwhile. */
export async function relocate(ctx: Ctx, job: Job, deps: MoverDeps): Promise<Outcome> {
  const site = deps.sites.find(job.site);
  if (site === undefined) return done(undefined, `Site ${job.site} is not registered any more.`);
  if (job.key === job.path) return done(undefined, "The object is where it belongs.");
  if (!site.store.capabilities.serverSideCopy)
    return { kind: "failed", reason: `Site ${job.site} cannot copy objects by itself; the object keeps its key.` };
  // The lower key first, as everybody who holds two locks does.
  const [first, second] = [job.key, job.path as string].sort() as [string, string];
  return await deps.locks.run(
    first,
    async () => await deps.locks.run(second, async () => await move(ctx, job, site, deps)),
  );
}

interface Movable {
  readonly file: FileRecord;
  readonly version: FileVersion;
  readonly copy: Copy;
  /** The key that the file's path asks for still holds another file's object. */
  readonly taken: boolean;
  /** That object is an older version's, and stays there as long as that does. */
  readonly kept: boolean;
}

const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Files that changed names with each other wait for each other. After so many looks one of them steps aside. */
const PATIENCE = 4;

async function move(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<Outcome> {
  const found = await deps.kv.view(function* (tx): Program<Movable | undefined> {
    const file = yield* findFile(tx, job.path);
    const copy = file?.version?.copies.find((each) => each.site === site.name);
    if (file?.inode !== job.inode || file.version === undefined || copy?.key !== job.key) return undefined;
    if (copy.state === "stale" || copy.state === "failed") return undefined;
    const owner = yield* findOwner(tx, site.name, job.path);
    const taken = owner !== undefined && owner.inode !== job.inode;
    const kept = taken && (yield* findByInode(tx, owner.inode))?.linkCount === 0;
    return { file, version: file.version, copy, taken, kept };
  });
  if (found === undefined) {
    for (const key of [job.path, asideKey(job)]) await removeOwnStray(ctx, { ...job, key }, site, deps);
    return done(
      undefined,
      "The file was renamed or written anew; its object is where it belongs, or another job moves it.",
    );
  }
  if (found.kept) return done(undefined, `An older version lies under ${job.path}; the object keeps its key.`);
  const delayMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** job.attempts);
  if (found.copy.state === "pending") return { kind: "later", reason: "The bytes are still on their way.", delayMs };
  if (found.taken && (job.attempts < PATIENCE || job.key === asideKey(job))) {
    return { kind: "later", reason: `The key ${job.path} still belongs to another file's object.`, delayMs };
  }
  if (!found.taken && (await isOccupied(ctx, job, site, found.version, deps))) {
    return {
      kind: "failed",
      reason: `Another tool's object lies under ${job.path} at ${site.name}; the file keeps its object at ${job.key}.`,
    };
  }
  const to = found.taken ? asideKey(job) : job.path;
  const info = await copyObject(ctx, job, { site, to, found, deps });
  const nowMs = deps.clock.nowMs();
  const moved: Copy = { ...found.copy, key: to, etag: info.etag, changedMs: nowMs };
  // Still under the locks: without an owner the new object would be fair game for a remove job of the same content.
  await deps.kv.transact((tx) => recordMove(tx, job, { from: found.copy, to: moved, version: found.version }, deps));
  return done();
}

function asideKey(job: Job): string {
  return `.globalfs/displaced/${job.versionId}-aside`;
}

interface Move {
  readonly from: Copy;
  readonly to: Copy;
  readonly version: FileVersion;
}

/** Whichever of the two objects has no owner now is to go; one that only stepped aside is to come back. */
function* recordMove(tx: Transaction, job: Job, { from, to, version }: Move, deps: MoverDeps): Program<void> {
  const nowMs = to.changedMs;
  const { path, inode, versionId, site, sizeBytes } = job;
  const base = { path, inode, versionId, site, priority: 20 };
  const enqueue = { nowMs, limit: Number.MAX_SAFE_INTEGER };
  // A directory above it may have been renamed during the copy: then the object belongs elsewhere, and another job moves it.
  const stays = (yield* findFile(tx, path))?.inode === inode;
  const moved = stays && (yield* setCopy(tx, { inode, versionId: version.id, copy: to, nowMs }));
  if (!moved) {
    // Until it is removed nobody may take it for a new file.
    const etags = to.etag === undefined ? [] : [to.etag];
    yield* entombKey(tx, { path: to.key as FilePath, deletedMs: nowMs, versionId: version.id, etags });
  }
  const { key, etag } = moved ? from : to;
  const removal: JobSpec = { ...base, kind: "remove", key, sizeBytes: 0, ...(etag === undefined ? {} : { etag }) };
  yield* enqueueJob(tx, removal, { ...enqueue, id: deps.nextJobId() });
  if (!moved || to.key === path) return;
  yield* enqueueJob(tx, { ...base, kind: "relocate", key: to.key, sizeBytes }, { ...enqueue, id: deps.nextJobId() });
}

interface CopyOrder {
  readonly site: Site;
  readonly to: string;
  readonly found: Movable;
  readonly deps: MoverDeps;
}

async function copyObject(ctx: Ctx, job: Job, { site, to, found, deps }: CopyOrder): Promise<ObjectInfo> {
  const { version, copy } = found;
  const { contentType, metadata } = deps.describeWrite(job.path, version);
  return await site.store.copy(ctx, job.key, to, {
    ...(copy.etag === undefined ? {} : { sourceIfMatch: copy.etag }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(metadata === undefined ? {} : { metadata }),
  });
}

/** An earlier attempt may have made the copy and lost the answer; by now no file owns it. */
async function removeOwnStray(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<void> {
  if ((await deps.kv.view((tx) => findOwner(tx, site.name, job.key))) !== undefined) return;
  try {
    const info = await site.store.head(ctx, job.key);
    if (info.metadata["globalfs-version"] !== job.versionId) return;
    await site.store.delete(ctx, job.key, { ifMatch: info.etag });
  } catch (error) {
    if (!isGfsError(error, "NotFound", "PreconditionFailed")) throw error;
  }
}

async function isOccupied(ctx: Ctx, job: Job, site: Site, version: FileVersion, deps: MoverDeps): Promise<boolean> {
  try {
    const info = await site.store.head(ctx, job.path);
    // Our own without an owner: the copy of an attempt that lost its answer, or a write to this very file that never got its own.
    const { metadata } = deps.describeWrite(job.path, version);
    const own = info.metadata["globalfs-version"] !== undefined;
    if (own && info.metadata["globalfs-path"] === metadata?.["globalfs-path"]) return false;
    const tombstone = await deps.kv.view((tx) => findTombstone(tx, job.path));
    return !isBuried(tombstone, info) && site.foreign === "merge";
  } catch (error) {
    if (isGfsError(error, "NotFound")) return false;
    throw error;
  }
}
