import type { FilePath, Inode, JobId } from "../core/ids.ts";
import { findFirst, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { type FileVersion, findByInode } from "../namespace/index.ts";
import { decodeUnqueued, placeOfUnqueuedKey, unqueuedKey, unqueuedSpace } from "./job-rows.ts";
import { enqueueJob } from "./jobs.ts";
import type { JobSpec } from "./types.ts";

export interface TakeUnqueued {
  readonly nowMs: number;
  /** So many at most. */
  readonly room: number;
  readonly nextJobId: () => JobId;
}

/** A version that went into another inode takes along what is remembered of its copies. */
export function* carryUnqueued(
  tx: Transaction,
  { version, from, to }: { readonly version: FileVersion; readonly from: Inode; readonly to: Inode },
): Program<void> {
  for (const { site, state } of version.copies) {
    if (state !== "pending") continue;
    const row = yield* tx.get(unqueuedKey(from, site));
    if (row === undefined || decodeUnqueued(row).versionId !== version.id) continue;
    tx.delete(unqueuedKey(from, site));
    tx.put(unqueuedKey(to, site), row);
  }
}

const TAKEN_A_COMMIT = 25;
/** As much as one job may take, with those that it supersedes. */
const ROOM_FOR_ONE = { writes: 20, sizeBytes: 32 * 1024 };

export function* hasUnqueued(tx: Reader): Program<boolean> {
  return (yield* findFirst(tx, unqueuedSpace)) !== undefined;
}

/** Copies that found the queue full get their jobs. Resolves with how many rows are gone, and whether there may be more. */
export function* takeUnqueued(
  tx: Transaction,
  { nowMs, room, nextJobId }: TakeUnqueued,
): Program<{ readonly taken: number; readonly more: boolean }> {
  const rows = yield* tx.range({ ...prefixRange(unqueuedSpace), limit: Math.min(TAKEN_A_COMMIT, room) });
  let taken = 0;
  for (const { key, value } of rows) {
    if (!tx.hasRoom(ROOM_FOR_ONE)) return { taken, more: true };
    taken += 1;
    const { inode, site } = placeOfUnqueuedKey(key);
    const { path, versionId } = decodeUnqueued(value);
    tx.delete(key);
    const version = (yield* findByInode(tx, inode))?.version;
    const copy = version?.copies.find((each) => each.site === site);
    if (version?.id !== versionId || copy?.state !== "pending") continue;
    const spec: JobSpec = {
      kind: "replicate",
      path: path as FilePath,
      inode,
      versionId,
      site,
      key: copy.key,
      sizeBytes: version.sizeBytes,
      priority: 10,
    };
    yield* enqueueJob(tx, spec, { id: nextJobId(), nowMs });
  }
  return { taken, more: rows.length === TAKEN_A_COMMIT };
}
