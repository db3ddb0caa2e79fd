import type { Program, Reader, Transaction } from "../kv/index.ts";
import { type Copy, type FileRecord, findByInode, findOwner, setCopy } from "../namespace/index.ts";
import type { Job } from "./types.ts";

/**
 * The file that holds the job's version. A version that was superseded in a bucket that keeps versions went into an inode of its own, and back when
 * it became current again: the row of the object that the job works on says where it is.
 */
export function* findJobFile(tx: Reader, job: Job): Program<FileRecord | undefined> {
  const file = yield* findByInode(tx, job.inode);
  if (file?.version?.id === job.versionId) return file;
  const owner = yield* findOwner(tx, job.site, job.key);
  if (owner === undefined || owner.versionId !== job.versionId) return undefined;
  const holder = yield* findByInode(tx, owner.inode);
  return holder?.version?.id === job.versionId ? holder : undefined;
}

export interface JobCopy {
  readonly copy: Copy;
  /** Whether what the catalog says of the copy by now still lets the job speak of it. */
  readonly when: (now: Copy | undefined) => boolean;
}

/** The file that holds the job's version; undefined, and nothing is written, when nobody does, or the copy has moved on. */
export function* setJobCopy(tx: Transaction, job: Job, { copy, when }: JobCopy): Program<FileRecord | undefined> {
  const file = yield* findJobFile(tx, job);
  if (file === undefined || !when(file.version?.copies.find(({ site }) => site === job.site))) return undefined;
  yield* setCopy(tx, { inode: file.inode, versionId: job.versionId, copy, nowMs: copy.changedMs });
  return file;
}

/** A publish job may have given the bytes another key since, or somebody found others there. */
export function isSameObject(one: Copy): (now: Copy | undefined) => boolean {
  return (now) => now?.key === one.key && now.etag === one.etag;
}
