import type { Program, Reader, Transaction } from "../../kv/index.ts";
import {
  type Copy,
  type FileRecord,
  type FileVersion,
  findByInode,
  findFile,
  findOwner,
  giveUpHome,
  isHeld,
  LANDED_PREFIX,
  setCopy,
} from "../../namespace/index.ts";
import type { ObjectInfo } from "../../stores/index.ts";
import type { MoverDeps } from "../context.ts";
import { follow, jobsOfLane, removalOf } from "../follow-ups.ts";
import { enqueueJob } from "../jobs.ts";
import type { Job, JobSpec } from "../types.ts";

/** What the catalog says of an object that a publish job is about, and what the job makes of it. */

export interface Movable {
  readonly file: FileRecord;
  readonly version: FileVersion;
  readonly copy: Copy;
  /** The path is another file's key still. */
  readonly taken: boolean;
  /** That object is an older version's, and stays there as long as that does. What is open and has no name goes sooner. */
  readonly kept: boolean;
}

/** Undefined when the file has another path or other bytes by now, or they lie elsewhere. */
export function* findMovable(tx: Reader, job: Job): Program<Movable | undefined> {
  const file = yield* findFile(tx, job.path);
  const copy = file?.version?.copies.find((each) => each.site === job.site);
  if (file?.inode !== job.inode || file.version === undefined || copy?.key !== job.key) return undefined;
  const owner = yield* findOwner(tx, job.site, job.path);
  const taken = owner !== undefined && owner.inode !== job.inode;
  const kept = taken && (yield* findByInode(tx, owner.inode))?.linkCount === 0 && !(yield* isHeld(tx, owner.inode));
  return { file, version: file.version, copy, taken, kept };
}

export function isReadable({ state }: Copy): boolean {
  return state === "present" || state === "foreign";
}

/** Nobody else may put anything under the path from here on, also while the bytes are not there yet. */
export function* claimHome(tx: Transaction, job: Job, deps: MoverDeps): Program<Copy | undefined> {
  const found = yield* findMovable(tx, job);
  if (found === undefined || found.taken) return undefined;
  const { inode, path } = job;
  const { copy: before, version } = found;
  if (before.home === path) return before;
  const copy: Copy = { ...withoutHome(before), home: path };
  yield* setCopy(tx, { inode, versionId: version.id, copy, nowMs: deps.clock.nowMs() });
  if (before.home !== undefined) yield* orderRemoval(tx, job, { key: before.home, copy: before, version, deps });
  return copy;
}

function withoutHome({ home: _home, replaces: _replaces, ...copy }: Copy): Copy {
  return copy;
}

interface Home {
  readonly key: string;
  /** As it was when it was to be published there. */
  readonly copy: Copy;
  readonly version: FileVersion;
  readonly deps: MoverDeps;
}

/** Of what it was to replace there. Where that is not known, what another tool has put there is not meant. */
function* orderRemoval(tx: Transaction, job: Job, { key, copy, version, deps }: Home): Program<void> {
  yield* follow(tx, deps, removalOf(job, { key, etag: copy.replaces ?? copy.etag ?? version.etag }));
}

/** A directory above the file was renamed: what lies under its old path has no owner any more. */
export function* leaveHome(tx: Transaction, job: Job, deps: MoverDeps): Program<void> {
  const { path, inode, site } = job;
  if ((yield* findFile(tx, path))?.inode === inode) return;
  const version = (yield* findByInode(tx, inode))?.version;
  const copy = yield* giveUpHome(tx, { inode, site, home: path, as: "buried", nowMs: deps.clock.nowMs() });
  if (copy !== undefined && version !== undefined) yield* orderRemoval(tx, job, { key: path, copy, version, deps });
}

export interface Moved {
  readonly from: Copy;
  readonly to: string;
  readonly info: ObjectInfo;
  readonly deps: MoverDeps;
}

/** Whichever of the two objects has no owner now is to go; one that only stepped aside is to come back. */
export function* recordMove(tx: Transaction, job: Job, { from, to, info, deps }: Moved): Program<boolean> {
  const nowMs = deps.clock.nowMs();
  const { path, inode } = job;
  const found = yield* findMovable(tx, job);
  if (found === undefined || !isReadable(found.copy)) {
    yield* recordMoot(tx, job, { from, to, info, deps });
    return false;
  }
  const copy: Copy = { ...withoutHome(found.copy), key: to, etag: info.etag, changedMs: nowMs };
  yield* setCopy(tx, { inode, versionId: found.version.id, copy, nowMs });
  if (!from.key.startsWith(LANDED_PREFIX)) yield* follow(tx, deps, removalOf(job, from));
  if (to !== path) yield* follow(tx, deps, { ...specOf(job), key: to });
  return true;
}

/** A directory above it was renamed during the copy, or the file written anew. */
function* recordMoot(tx: Transaction, job: Job, { to, info, deps }: Moved): Program<void> {
  const { inode, site } = job;
  yield* leaveHome(tx, job, deps);
  const owner = yield* findOwner(tx, site, to);
  if (owner === undefined) return yield* follow(tx, deps, removalOf(job, { key: to, etag: info.etag }));
  // The newer bytes are to be published over these.
  const version = (yield* findByInode(tx, inode))?.version;
  const copy = version?.copies.find((each) => each.site === site);
  if (version === undefined || copy === undefined) return;
  // Where no condition could keep it off, it has gone over what was published there meanwhile.
  if (copy.key === to && copy.etag !== info.etag)
    return yield* follow(tx, deps, { ...specOf(job), kind: "verify", versionId: version.id, key: to });
  if (copy.home !== to || copy.key === to) return;
  const changed: Copy = { ...copy, replaces: info.etag };
  yield* setCopy(tx, { inode, versionId: version.id, copy: changed, nowMs: deps.clock.nowMs() });
}

function specOf({ kind, path, inode, versionId, site, key, sizeBytes, priority }: Job): JobSpec {
  return { kind, path, inode, versionId, site, key, sizeBytes, priority };
}

/**
 * A job that waits holds up those behind it, and one of these may bring the bytes, or set the path free, that somebody waits for. Resolves with whether another
 * job behind them stands for this one now.
 */
export async function stepBehind(job: Job, deps: MoverDeps): Promise<boolean> {
  const id = deps.nextJobId();
  const nowMs = deps.clock.nowMs();
  return await deps.kv.transact(function* (tx): Program<boolean> {
    const others = (yield* jobsOfLane(tx, job)).filter(({ kind }) => kind !== "publish");
    const last = others.at(-1);
    // Ids of another process may sort later than its own for a moment.
    if (last === undefined || last.id < job.id || last.id > id) return false;
    return yield* enqueueJob(tx, specOf(job), { id, nowMs });
  });
}
