import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { type FileVersion, findByInode, findOwner, pathOf, setCopy } from "../../namespace/index.ts";
import type { MoverDeps } from "../context.ts";
import { follow, jobsOfLane, removalOf } from "../follow-ups.ts";
import type { Job } from "../types.ts";
import { isReadable, leaveHome, type Movable } from "./homes.ts";

/**
 * A file whose object lies under a path that is another's by now, and that nobody takes away: a rule says that the file stays as it is, or another tool's object
 * lies where it should be published. It would be in the way for ever.
 */
export interface Blocker {
  /** As one that would publish it. */
  readonly job: Job;
  readonly version: FileVersion;
  readonly copy: Movable["copy"];
}

/** Undefined while a job is to take it away, and where nothing can be done. */
export function* findBlocker(tx: Reader, job: Job): Program<Blocker | undefined> {
  const owner = yield* findOwner(tx, job.site, job.path);
  if (owner === undefined || owner.inode === job.inode) return undefined;
  const { inode } = owner;
  const file = yield* findByInode(tx, inode);
  const path = yield* pathOf(tx, inode);
  const version = file?.version;
  const copy = version?.copies.find(({ site }) => site === job.site);
  if (version === undefined || copy === undefined || path === undefined || file?.linkCount === 0) return undefined;
  if (path === job.path) return undefined;
  if (copy.key === job.path ? !isReadable(copy) : copy.home !== job.path) return undefined;
  const place = { path: path as Job["path"], site: job.site };
  if ((yield* jobsOfLane(tx, place)).some((each) => each.kind === "publish" && each.inode === inode)) return undefined;
  return { job: { ...job, ...place, inode, versionId: version.id, key: copy.key }, version, copy };
}

export interface SteppedAside {
  readonly to: string;
  readonly etag: string;
}

/** Its object lies under a key of its own now, where nobody is waited for; nothing brings it back. */
export function* recordAside(
  tx: Transaction,
  { job, version, copy: before }: Blocker,
  { to, etag }: SteppedAside,
  deps: MoverDeps,
): Program<void> {
  const { home: _home, replaces: _replaces, ...rest } = before;
  const copy = { ...rest, key: to, etag, changedMs: deps.clock.nowMs() };
  const order = { inode: job.inode, versionId: version.id, copy, nowMs: copy.changedMs, over: before };
  if (yield* setCopy(tx, order)) yield* follow(tx, deps, removalOf(job, before));
  else yield* follow(tx, deps, removalOf(job, copy));
}

/** It was to be published there once. */
export function* giveUpClaim(tx: Transaction, { job }: Blocker, path: Job["path"], deps: MoverDeps): Program<void> {
  yield* leaveHome(tx, { ...job, path }, deps);
}
