import type { Inode, JobId, SiteName } from "../core/ids.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { findByInode, type ObjectPlace } from "../namespace/index.ts";
import type { MoverDeps } from "./context.ts";
import { enqueueJob, jobsOfPath } from "./jobs.ts";
import type { Job, JobSpec } from "./types.ts";

/** Jobs that other jobs make necessary. The queue takes them however full it is: what they are about would be left lying otherwise. */

export type Following = Pick<MoverDeps, "nextJobId" | "clock">;

export function* follow(tx: Transaction, { nextJobId, clock }: Following, spec: JobSpec): Program<void> {
  yield* enqueueJob(tx, spec, { id: nextJobId(), nowMs: clock.nowMs() });
}

export function removalOf(
  { path, inode, versionId, site }: Job,
  { key, etag }: Omit<ObjectPlace, "site" | "etag"> & { readonly etag?: string | undefined },
): JobSpec {
  const spec = { kind: "remove" as const, path, inode, versionId, site, key, sizeBytes: 0, priority: 20 };
  return etag === undefined ? spec : { ...spec, etag };
}

export interface Arrived {
  readonly inode: Inode;
  readonly site: SiteName;
  /** This job has looked already, and does not look again. */
  readonly but?: JobId;
}

/** A copy that has its bytes, or has them again, and is to be published somewhere: whoever would have done it found it without them. */
export function* publishArrived(tx: Transaction, deps: Following, { inode, site, but }: Arrived): Program<void> {
  const version = (yield* findByInode(tx, inode))?.version;
  const copy = version?.copies.find((each) => each.site === site);
  if (version === undefined || copy?.home === undefined || copy.home === copy.key) return;
  if (copy.state !== "present" && copy.state !== "foreign") return;
  const spec = {
    kind: "publish" as const,
    path: copy.home as JobSpec["path"],
    inode,
    versionId: version.id,
    site,
    key: copy.key,
    sizeBytes: version.sizeBytes,
    priority: 20,
  };
  const there = yield* jobsOfLane(tx, spec);
  const willLook = ({ id, kind, key, inode: of }: Job): boolean =>
    id !== but && kind === "publish" && key === copy.key && of === inode;
  if (there.some(willLook)) return;
  yield* follow(tx, deps, spec);
}

const MAX_LANE = 200;

/** Those that are not finished, the oldest first. */
export function* jobsOfLane(tx: Reader, { path, site }: Pick<Job, "path" | "site">): Program<Job[]> {
  return (yield* jobsOfPath(tx, path, MAX_LANE)).filter((job) => job.site === site);
}
