import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";

/** A durable unit of background work. Rows are in the KV, written in the transaction that made the work necessary. */

/**
 * replicate: bring a version's bytes to `site`. remove: delete an object that no live copy owns. publish: bring an object to its file's path, from
 * where it landed or where the file was. repair: put the committed version back where other bytes landed. verify: read a copy back and compare.
 */
export type JobKind = "replicate" | "remove" | "publish" | "repair" | "verify";

/**
 * waiting: ready, or until `notBeforeMs`. running: a process works on it now, which only that process knows. paused: by a person.
 * done, failed and canceled rows are kept for a while, to be looked at.
 */
export type JobState = "waiting" | "running" | "paused" | "done" | "failed" | "canceled";

/** Since when something stands still, by whom and why, as far as that was said. */
export interface Pause {
  readonly sinceMs: number;
  readonly by?: string;
  readonly reason?: string;
}

export type PauseOrder = Omit<Pause, "sinceMs">;

export interface JobSpec {
  readonly kind: JobKind;
  /** The file's path when the job was made, for people and for per-key order. */
  readonly path: FilePath;
  readonly inode: Inode;
  readonly versionId: VersionId;
  /** Where the work happens. */
  readonly site: SiteName;
  /** replicate, repair: the site to read from; absent: the best one at that moment. */
  readonly from?: SiteName;
  /** The object's key at `site`: written, removed, or moved away from. */
  readonly key: string;
  /** remove: only while the object still has this content. */
  readonly etag?: string;
  readonly sizeBytes: number;
  /** Lower goes first; a person's request is 0, policy work 10, housekeeping 20. */
  readonly priority: number;
  /** The tag of the writer whose request does the work while its caller waits. While it lives no mover touches the job. */
  readonly takenBy?: string;
}

export interface Job extends JobSpec {
  readonly id: JobId;
  readonly state: JobState;
  readonly createdMs: number;
  readonly changedMs: number;
  readonly attempts: number;
  /** Of the attempts, those that failed for a reason that waiting alone does not mend. After some of them the job is given up. */
  readonly failures?: number;
  /** Not before this moment, after a failure. */
  readonly notBeforeMs: number;
  /** Why the last attempt failed, or why it waits; one sentence. */
  readonly reason?: string;
  readonly bytesDone: number;
  /** Of a job that a person holds. */
  readonly paused?: Pause;
  /** Resumable transfers: the upload at the target and the parts that have arrived. */
  readonly upload?: { readonly uploadId: string; readonly partSizeBytes: number };
}

/** A job as it moves, with what only the process that runs it knows. */
export interface JobProgress extends Job {
  readonly bytesPerSecond?: number;
  readonly etaSeconds?: number;
  /** Why it does not run now, although it is neither finished nor running. Absent: it is about to. */
  readonly waitsFor?: string;
}

export type JobCounts = Readonly<Record<JobState, number>>;
