import type { Ctx } from "../core/context.ts";
import { isGfsError, toGfsError } from "../core/errors.ts";
import type { FilePath, Inode } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import {
  type Copy,
  type FileRecord,
  type FileVersion,
  findByInode,
  findFile,
  findOverwrittenBy,
  setCopy,
} from "../namespace/index.ts";
import { enqueueJob } from "../mover/index.ts";
import type { ObjectInfo, Site } from "../stores/index.ts";
import { commitAdopted, enqueueCopies, INODES_FOR_ONE_PATH } from "./foreign.ts";
import type { Parts } from "./parts.ts";
import { enqueueRelocations } from "./relocation.ts";

/**
 * A site does not hold what the catalog says. Either a write reached the site and its process died before the catalog knew,
 * or somebody replaced or removed the object with another tool, or the site lost it.
 *
 * `changed`: the catalog has moved on; look again. `next`: this copy is out; read another one.
 */
export type Reconciled = "changed" | "next";

export interface Disagreement {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly copy: Copy;
  readonly site: Site;
  /** Of an older version, which no name leads to. */
  readonly holder?: Inode;
}

export async function reconcile(parts: Parts, ctx: Ctx, found: Disagreement): Promise<Reconciled> {
  return await parts.locks.run(found.copy.key, async () => {
    const { holder } = found;
    const current = await parts.kv.view((tx) =>
      holder === undefined ? findFile(tx, found.path) : findByInode(tx, holder),
    );
    if (current?.version?.id !== found.version.id) return "changed";
    const copy = current.version.copies.find((each) => each.site === found.site.name);
    if (copy?.key !== found.copy.key || copy.etag !== found.copy.etag) return "changed";
    const info = await headIfThere(ctx, found);
    if (info === undefined)
      return await markCopy(parts, current, found, "The object is gone from the site; it was removed there or lost.");
    if (info.etag === found.copy.etag) return "changed";
    // A write that failed left its bytes here, and a job brings the old ones back: until then other copies are read.
    const mending = (await parts.mover.jobsOf(found.path)).some(
      (job) => job.kind === "repair" && job.site === found.site.name,
    );
    if (mending) return "next";
    const overwritten = await isOverwritten(parts, current.version, info);
    if (holder === undefined && (overwritten || mayReplace(parts, current.version, found, info)))
      return await rollForward(parts, found, info);
    return await markCopy(parts, current, found, "The site holds other bytes under this key.");
  });
}

async function headIfThere(ctx: Ctx, found: Disagreement): Promise<ObjectInfo | undefined> {
  try {
    return await found.site.store.head(ctx, found.copy.key);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw toGfsError(error, "coordinator.reconcile");
  }
}

/**
 * Only something newer speaks for the file: our own write by its version id, also under the key that the file had before a rename, for
 * only a write to this file goes to a key that it owns; a foreign one by its time, under the file's own key, at a site of the best role
 * among the version's copies.
 */
function mayReplace(parts: Parts, version: FileVersion, found: Disagreement, info: ObjectInfo): boolean {
  const writtenId = info.metadata["globalfs-version"];
  if (writtenId !== undefined) return writtenId > version.id;
  if (found.copy.key !== found.path) return false;
  const better = version.copies.some((copy) => {
    const site = parts.sites.find(copy.site);
    return site !== undefined && site.role === "primary" && found.site.role !== "primary" && copy.state === "present";
  });
  return !better && info.modifiedMs >= version.createdMs;
}

/** An upload has its id from when it began, and may have come over a version that was written since. */
async function isOverwritten(parts: Parts, { id }: FileVersion, { key, metadata }: ObjectInfo): Promise<boolean> {
  const uploadId = metadata["globalfs-version"];
  if (uploadId === undefined) return false;
  return (await parts.kv.view((tx) => findOverwrittenBy(tx, key as FilePath, uploadId))) === id;
}

async function rollForward(parts: Parts, found: Disagreement, info: ObjectInfo): Promise<Reconciled> {
  await parts.inodes.ensure(INODES_FOR_ONE_PATH);
  const nowMs = parts.clock.nowMs();
  const versionId = parts.nextVersionId();
  await parts.kv.transact(function* (tx): Program<void> {
    const file = yield* commitAdopted(tx, parts, {
      path: found.path,
      found: [{ site: found.site, info }],
      versionId,
      nowMs,
    });
    yield* enqueueCopies(tx, parts, { file, path: found.path, nowMs });
    yield* enqueueRelocations(tx, parts, { file, path: found.path, nowMs });
  });
  parts.mover.wake();
  parts.log.warn("site_object_taken_over", {
    path: found.path,
    site: found.site.name,
    version: info.metadata["globalfs-version"],
  });
  return "changed";
}

/** The copy is not to be read any more; a job puts the committed bytes back when another copy has them. */
async function markCopy(parts: Parts, file: FileRecord, found: Disagreement, reason: string): Promise<Reconciled> {
  const version = file.version as FileVersion;
  const nowMs = parts.clock.nowMs();
  const repairable = version.copies.some(
    (copy) => copy.site !== found.site.name && (copy.state === "present" || copy.state === "foreign"),
  );
  if (!repairable) return "next";
  await parts.kv.transact(function* (tx): Program<void> {
    const copy: Copy = { site: found.site.name, key: found.copy.key, state: "stale", changedMs: nowMs, reason };
    yield* setCopy(tx, { inode: file.inode, versionId: version.id, copy, nowMs });
    yield* enqueueJob(
      tx,
      {
        kind: "repair",
        path: found.path,
        inode: file.inode,
        versionId: version.id,
        site: found.site.name,
        key: found.copy.key,
        sizeBytes: version.sizeBytes,
        priority: 5,
      },
      { id: parts.nextJobId(), nowMs, limit: parts.settings.maxQueuedJobs },
    );
  });
  parts.mover.wake();
  parts.log.warn("copy_out_of_step", { path: found.path, site: found.site.name, reason });
  return "next";
}
