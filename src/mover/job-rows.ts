import { GfsError } from "../core/errors.ts";
import type { Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key } from "../kv/index.ts";
import { OWN_PREFIX } from "../namespace/index.ts";
import type { Job, JobState, Pause } from "./types.ts";

/** The keys of every row the mover keeps. `docs/formats.md` lists them. */

type InLane = Pick<Job, "kind" | "key" | "path" | "site">;

/**
 * What shares a lane. The removal of what lies in our own corner waits for nobody, and nobody for it: a file that is written over and over leaves one
 * each time.
 */
export function laneOf({ kind, key, path }: Pick<Job, "kind" | "key" | "path">): string {
  return kind === "remove" && key.startsWith(OWN_PREFIX) ? key : path;
}

const JOB = "j";
const READY = "jr";
const DELAYED = "jd";
const LANE = "jl";
const FINISHED = "jf";
const HELD = "jh";
const PAUSED = "jp";
const UNQUEUED = "ju";

export const readySpace = encodeKey(READY);
export const delayedSpace = encodeKey(DELAYED);
export const finishedSpace = encodeKey(FINISHED);
export const jobSpace = encodeKey(JOB);
export const unqueuedSpace = encodeKey(UNQUEUED);
export const heldSpace = encodeKey(HELD);
export const laneSpace = encodeKey(LANE);
export const pausedKey = encodeKey(PAUSED);

export const jobKey = (id: JobId): Key => encodeKey(JOB, id);
export const readyKey = (job: Pick<Job, "priority" | "id">): Key => encodeKey(READY, job.priority, job.id);
export const delayedKey = (job: Pick<Job, "notBeforeMs" | "id">): Key =>
  encodeKey(DELAYED, Math.ceil(job.notBeforeMs), job.id);
/**
 * Jobs of one file at one site run one after the other, in the order they were made. A job that is not finished has one such row, made and removed in
 * two transactions: those rows are counted.
 */
export const laneKey = (job: InLane & Pick<Job, "id">): Key => encodeKey(LANE, laneOf(job), job.site, job.id);
export const laneRange = (job: InLane): Key => encodeKey(LANE, laneOf(job), job.site);
export const pathRange = (path: string): Key => encodeKey(LANE, path);
export const heldKey = (id: JobId): Key => encodeKey(HELD, id);
export const finishedKey = (atMs: number, id: JobId): Key => encodeKey(FINISHED, Math.max(0, Math.round(atMs)), id);
export const unqueuedKey = (inode: Inode, site: SiteName): Key => encodeKey(UNQUEUED, inode, site);

export const idOfReadyKey = (key: Key): JobId => decodeKey(key, ["number", "string"])[1] as JobId;
export const idOfHeldKey = (key: Key): JobId => decodeKey(key, ["string"])[0] as JobId;
export const idOfLaneKey = (key: Key): JobId => decodeKey(key, ["string", "string", "string"])[2] as JobId;
export const idOfFinishedKey = (key: Key): JobId => decodeKey(key, ["number", "string"])[1] as JobId;
export function partsOfDelayedKey(key: Key): { readonly dueMs: number; readonly id: JobId } {
  const [dueMs, id] = decodeKey(key, ["number", "string"]);
  return { dueMs: dueMs as number, id: id as JobId };
}
export function placeOfUnqueuedKey(key: Key): { readonly inode: Inode; readonly site: SiteName } {
  const [inode, site] = decodeKey(key, ["number", "string"]);
  return { inode: inode as Inode, site: site as SiteName };
}

export function encodeJob(job: Job): Buffer {
  return Buffer.from(JSON.stringify(job));
}

export function decodeJob(bytes: Uint8Array): Job {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as Job;
  } catch (error) {
    throw new GfsError("DataCorrupt", "A job's row cannot be read; `globalfs meta check` tells more.", {
      cause: error,
    });
  }
}

export function encodePause(pause: Pause): Buffer {
  return Buffer.from(JSON.stringify(pause));
}

export function decodePause(bytes: Uint8Array): Pause {
  return JSON.parse(Buffer.from(bytes).toString()) as Pause;
}

export interface Unqueued {
  readonly path: string;
  readonly versionId: VersionId;
}

export function encodeUnqueued(row: Unqueued): Buffer {
  return Buffer.from(JSON.stringify(row));
}

export function decodeUnqueued(bytes: Uint8Array): Unqueued {
  return JSON.parse(Buffer.from(bytes).toString()) as Unqueued;
}

/** The state, so that jobs that ended in one way are found without reading the others. */
export function encodeFinished(state: JobState): Buffer {
  return Buffer.from(state);
}

export function decodeFinished(bytes: Uint8Array): JobState {
  return Buffer.from(bytes).toString() as JobState;
}
