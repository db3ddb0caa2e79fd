import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import { ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import {
  type Copy,
  endUpload,
  type FileRecord,
  findFile,
  findOwner,
  findUpload,
  isSamePlace,
  isSameState,
  type Owner,
  readKeyState,
  type SiteUpload,
  type UploadRecord,
} from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Parts } from "../parts.ts";
import { enqueueRemoval } from "../removal.ts";
import { abortAtSites } from "./open.ts";

/**
 * A completion whose process died after it had been marked. Whoever finds it finishes it only while the key is still what it was when the
 * completion began: nobody was told that it had happened, and others may have been told of newer things since. Otherwise it is abandoned.
 */

export function superseded(): GfsError {
  return new GfsError(
    "NotFound",
    "The completion of this upload was interrupted, and the key was written, deleted or renamed before it could be finished; send the object again.",
    { op: "coordinator.upload", context: { s3: "NoSuchUpload", superseded: true } },
  );
}

export function isSuperseded(error: unknown): boolean {
  return isGfsError(error, "NotFound") && error.context["superseded"] === true;
}

/** In the catalog. The caller holds the path's lock; the transaction that makes the version asks again. */
export function* isUntouched(tx: Reader, upload: UploadRecord): Program<boolean> {
  const { path, uploadId, completing } = upload;
  if (completing === undefined) return true;
  const now = yield* readKeyState(tx, path);
  if (isSameState(completing.base, now)) return true;
  // Somebody may have looked at a site that had been told already, and taken in what lay there.
  if (now.file?.versionId !== uploadId || !isSamePlace(completing.base, now)) return false;
  return (yield* findFile(tx, path))?.version?.details?.labels === undefined;
}

/**
 * Whether an interrupted completion may be finished. At the sites, too, nothing may lie under the key but what it is to replace, or what it
 * has made already: another tool may have put something there.
 */
export async function mayFinish(parts: Parts, ctx: Ctx, upload: UploadRecord): Promise<boolean> {
  const { untouched, current, owners } = await readCatalog(parts.kv, function* (tx): Program<Look> {
    return {
      untouched: yield* isUntouched(tx, upload),
      current: yield* findFile(tx, upload.path),
      owners: yield* ownersOf(tx, upload),
    };
  });
  if (!untouched) return false;
  for (const [index, place] of upload.sites.entries()) {
    const owner = owners[index];
    if (owner !== undefined && owner.inode !== current?.inode) return false;
    const copy = current?.version?.copies.find((each) => each.site === place.site && each.key === place.objectKey);
    if (!(await isFree(parts, ctx, { place, copy, upload }))) return false;
  }
  return true;
}

interface Look {
  readonly untouched: boolean;
  readonly current: FileRecord | undefined;
  readonly owners: readonly (Owner | undefined)[];
}

function* ownersOf(tx: Reader, { sites }: UploadRecord): Program<(Owner | undefined)[]> {
  const owners: (Owner | undefined)[] = [];
  for (const { site, objectKey } of sites) owners.push(yield* findOwner(tx, site, objectKey));
  return owners;
}

interface AtSite {
  readonly place: SiteUpload;
  readonly copy: Copy | undefined;
  readonly upload: UploadRecord;
}

async function isFree(parts: Parts, ctx: Ctx, { place, copy, upload }: AtSite): Promise<boolean> {
  const site = parts.sites.find(place.site);
  if (site === undefined) return true;
  try {
    const { etag, metadata } = await site.store.head(ctx, place.objectKey);
    if (metadata["globalfs-version"] === upload.uploadId) return true;
    // What the catalog knows not to be the version's bytes is nobody's.
    return copy !== undefined && (copy.etag === undefined || copy.etag === etag);
  } catch (error) {
    if (isGfsError(error, "NotFound")) return true;
    throw error;
  }
}

/**
 * Ends the upload without a version. What it made at the sites goes; where that lies over the bytes of the current version, these are brought
 * back from another copy. The caller holds the path's lock.
 */
export async function abandon(parts: Parts, upload: UploadRecord): Promise<void> {
  const { path, uploadId, sites, completing } = upload;
  const nowMs = parts.clock.nowMs();
  const versionId = completing?.base.file?.versionId;
  await parts.kv.transact(function* (tx): Program<void> {
    if ((yield* findUpload(tx, path, uploadId)) === undefined) return;
    const current = yield* findFile(tx, path);
    for (const { site, objectKey: key } of sites) {
      const owner = yield* findOwner(tx, site, key);
      if (owner === undefined) {
        const copy: Copy = { site, key, state: "stale", changedMs: nowMs };
        yield* enqueueRemoval(tx, parts, { path, inode: ROOT_INODE, versionId: uploadId, copy, nowMs });
      } else if (owner.inode === current?.inode && owner.versionId !== uploadId) {
        const { inode, versionId: ownerId } = owner;
        const sizeBytes = current.version?.sizeBytes ?? 0;
        const spec = { kind: "repair" as const, path, inode, versionId: ownerId, site, key, sizeBytes, priority: 1 };
        yield* enqueueJob(tx, spec, { id: parts.nextJobId(), nowMs, limit: Number.MAX_SAFE_INTEGER });
      }
    }
    yield* endUpload(tx, upload, {
      uploadId,
      path,
      endedMs: nowMs,
      superseded: versionId === undefined ? {} : { versionId },
    });
  });
  parts.log.warn("completion_superseded", { path, upload: uploadId });
  parts.mover.wake();
  await abortAtSites(parts, sites);
}
