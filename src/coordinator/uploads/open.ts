import { isCombinable } from "../../core/checksums.ts";
import { backgroundCtx, type Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import {
  endUpload,
  type FileRecord,
  findDirectory,
  findFile,
  findOwner,
  findUpload,
  listUploads as listUploadRows,
  noObjectLock,
  putUpload,
  readParts,
  rulesOf,
  type SiteUpload,
  type UploadRecord,
} from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { locate } from "../foreign/lookup.ts";
import { chooseLandings, landedKey, lookAhead, type Target } from "../copies/object-keys.ts";
import { atSite } from "../copies/landing.ts";
import { checkUserMetadata, storedMetadata } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { Site } from "../../stores/index.ts";
import type { CreateUpload, Upload, UploadPlace, UploadService } from "../service/service.ts";
import { describePart, describeUpload, getUpload, refuse, type UploadContext } from "./context.ts";

/** Opens an upload at each required site, then remembers them all; when one refuses, none stays open. */
export async function createUpload({ kit }: UploadContext, ctx: Ctx, request: CreateUpload): Promise<Upload> {
  const where = locate(request.key);
  if (where.directory) {
    throw new GfsError(
      "InvalidKey",
      `${where.key} names a directory; leave out the trailing slash to store an object.`,
    );
  }
  const { path } = where;
  kit.assertCatalogSpace();
  checkUserMetadata(request.metadata ?? {});
  checkChecksumKind(request.checksum);
  if (request.labels?.lock !== undefined) await assertLockable(kit, path);
  const plan = kit.router.planWrite(path);
  if (plan.required.length === 0) {
    throw new GfsError(
      "Unavailable",
      `No site takes writes for ${path}; add a primary site or change the rule ${plan.rule ?? "order"}.`,
    );
  }
  const uploadId = kit.nextUploadId();
  const startedMs = kit.clock.nowMs();
  const { chosen, inBucket } = await readCatalog(kit.kv, function* (tx): Program<{
    chosen: Target[];
    inBucket: boolean;
  }> {
    const file = yield* findFile(tx, path);
    const bucket = yield* findBucketOf(tx, path);
    return {
      chosen: yield* chooseLandings(tx, { path, sites: plan.required, inode: file?.inode, versionId: uploadId }),
      // A directory that is there only for its files may go with the last of them, and come again with this one.
      inBucket: bucket !== undefined && bucket.implicit !== true,
    };
  });
  const isMovable = ({ store }: Site): boolean => store.capabilities.movesUploads;
  const targets = await lookAhead(ctx, chosen, { path, versionId: uploadId, isMovable });
  const { contentType, contentHeaders, owner, labels, checksum } = request;
  const metadata = request.metadata ?? {};
  const details = {
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(owner === undefined ? {} : { owner }),
  };
  const stored = storedMetadata(metadata, { path, version: uploadId, createdMs: startedMs, details });
  const sites = await openAtAll(kit, ctx, targets, {
    metadata: stored,
    ...(contentType === undefined ? {} : { contentType }),
  });
  const upload: UploadRecord = {
    path,
    uploadId,
    startedMs,
    metadata,
    sites,
    inBucket,
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(owner === undefined ? {} : { owner }),
    ...(labels === undefined ? {} : { labels }),
    ...(checksum === undefined ? {} : { checksum }),
  };
  try {
    await kit.kv.transact(function* (tx): Program<void> {
      tx.claimRoom();
      if (inBucket && (yield* findBucketOf(tx, path)) === undefined)
        throw new GfsError("NotFound", "The bucket was removed or renamed meanwhile.", { op: "coordinator.upload" });
      putUpload(tx, upload);
    });
  } catch (error) {
    await abortAtSites(kit, sites);
    throw error;
  }
  return describeUpload(upload);
}

/** Retention and legal hold need a bucket that was made for them. */
export async function assertLockable(kit: Kit, path: FilePath): Promise<void> {
  if (!(await readCatalog(kit.kv, (tx) => rulesOf(tx, path))).objectLock) throw noObjectLock();
}

function checkChecksumKind(checksum: CreateUpload["checksum"]): void {
  if (checksum === undefined) return;
  const { algorithm, kind } = checksum;
  const possible = kind === "full" ? isCombinable(algorithm) : algorithm !== "CRC64NVME";
  if (!possible)
    throw refuse(
      "InvalidRequest",
      `The checksum type of ${algorithm} cannot be ${kind === "full" ? "FULL_OBJECT" : "COMPOSITE"}.`,
    );
}

/** A path without a directory has no bucket that could go. */
export function* findBucketOf(tx: Reader, path: FilePath): Program<FileRecord | undefined> {
  const slash = path.indexOf("/");
  return slash === -1 ? undefined : yield* findDirectory(tx, path.slice(0, slash) as FilePath);
}

async function openAtAll(
  kit: Kit,
  ctx: Ctx,
  targets: readonly Target[],
  attributes: { readonly contentType?: string; readonly metadata: Readonly<Record<string, string>> },
): Promise<SiteUpload[]> {
  const outcomes = await Promise.allSettled(
    targets.map(async ({ site, objectKey }): Promise<SiteUpload> => {
      if (site.store.capabilities.multipart === undefined) {
        throw new GfsError("Unsupported", `Site ${site.name} takes no uploads in parts; send the object in one piece.`);
      }
      try {
        const { uploadId } = await site.store.createMultipart(ctx, objectKey, attributes);
        return { site: site.name, objectKey, uploadId };
      } catch (error) {
        throw atSite(site, error);
      }
    }),
  );
  const opened = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed === undefined) return opened;
  await abortAtSites(kit, opened);
  throw failed.reason;
}

const ABORT_TIMEOUT_MS = 30_000;

/** What cannot be aborted now is in no row any more, so the site's sweep removes it. */
export async function abortAtSites(kit: Kit, sites: readonly SiteUpload[]): Promise<void> {
  const ctx = backgroundCtx({ signal: AbortSignal.timeout(ABORT_TIMEOUT_MS), requestId: "abort", log: kit.log });
  await Promise.all(
    sites.map(async ({ site, objectKey: key, uploadId }) => {
      try {
        await kit.sites.find(site)?.store.abortMultipart(ctx, { key, uploadId });
      } catch (error) {
        kit.log.info("upload_left_to_sweep", { site, key, error: String(error) });
      }
    }),
  );
}

/** First the catalog, then the sites: nobody finds an upload whose parts are going. */
export async function endAborted(kit: Kit, upload: UploadRecord): Promise<void> {
  const { uploadId, path } = upload;
  const endedMs = kit.clock.nowMs();
  await kit.kv.transact(function* (tx): Program<void> {
    const current = yield* findUpload(tx, path, uploadId);
    if (current !== undefined) yield* endUpload(tx, current, { uploadId, path, endedMs });
  });
  await abortAtSites(kit, upload.sites);
  await removeLanded(kit, upload);
}

/** A completion whose process died may have made the object at a site, and nobody will make a version of it any more. */
async function removeLanded(kit: Kit, { path, uploadId, sites }: UploadRecord): Promise<void> {
  const ctx = backgroundCtx({ signal: AbortSignal.timeout(ABORT_TIMEOUT_MS), requestId: "abort", log: kit.log });
  for (const { site: name, objectKey } of sites) {
    const site = kit.sites.find(name);
    if (site === undefined) continue;
    for (const key of new Set([objectKey, landedKey(path, uploadId)])) {
      try {
        const { etag, metadata } = await site.store.head(ctx, key);
        if (metadata["globalfs-version"] !== uploadId) continue;
        if ((await kit.kv.view((tx) => findOwner(tx, name, key))) !== undefined) continue;
        // Power loss must not give it back to a file.
        await kit.kv.flush();
        await site.store.delete(ctx, key, { ifMatch: etag });
      } catch (error) {
        if (!isGfsError(error, "NotFound"))
          kit.log.info("upload_left_to_sweep", { site: name, key, error: String(error) });
      }
    }
  }
}

export async function findUploadOf({ kit }: UploadContext, place: UploadPlace): Promise<Upload> {
  return describeUpload(await getUpload(kit, place));
}

export async function listParts(
  { kit }: UploadContext,
  request: Parameters<UploadService["listParts"]>[1],
): ReturnType<UploadService["listParts"]> {
  const upload = await getUpload(kit, request);
  const { after, limit } = request;
  const rows = await readCatalog(kit.kv, (tx) =>
    readParts(tx, upload.uploadId, { limit: limit + 1, ...(after === undefined ? {} : { after }) }),
  );
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1)?.partNumber : undefined;
  return {
    upload: describeUpload(upload),
    parts: page.map(describePart),
    ...(last === undefined ? {} : { next: last }),
  };
}

export async function listUploads(
  { kit }: UploadContext,
  request: Parameters<UploadService["listUploads"]>[1],
): ReturnType<UploadService["listUploads"]> {
  const { uploads, prefixes, next } = await readCatalog(kit.kv, (tx) => listUploadRows(tx, request));
  return { uploads: uploads.map(describeUpload), prefixes, ...(next === undefined ? {} : { next }) };
}
