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

/** False when nobody holds the job's version any more. */
export function* setJobCopy(tx: Transaction, job: Job, copy: Copy): Program<boolean> {
  const file = yield* findJobFile(tx, job);
  if (file === undefined) return false;
  return yield* setCopy(tx, { inode: file.inode, versionId: job.versionId, copy, nowMs: copy.changedMs });
}
