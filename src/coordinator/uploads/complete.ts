import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import {
  endUpload,
  type FileVersion,
  findEndedUpload,
  findFile,
  findUpload,
  isWriterAlive,
  keptBlocks,
  leaveSites,
  putUpload,
  readParts,
  type UploadRecord,
  type VersionDetails,
  writeVersionParts,
} from "../../namespace/index.ts";
import type { ObjectInfo, PartInfo, Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { locate } from "../foreign/lookup.ts";
import type { SiteWrite } from "../copies/landing.ts";
import { LANDED_PREFIX, landedKey } from "../copies/object-keys.ts";
import { describeFile, lateMetadata } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { CompleteUpload, PutResult, UploadPlace } from "../service/service.ts";
import { commitWrite } from "../objects/commit-write.ts";
import { checkCompletion, type Whole } from "./completion-check.ts";
import { getUpload, noUpload, refuse, type UploadContext } from "./context.ts";
import { endAborted } from "./open.ts";
import { type SiteTarget, sitesOf } from "./put-part.ts";

const MAX_PARTS = 10_000;

/**
 * The sites' uploads are completed as staged writes are committed, where nothing lies; one transaction makes the version, ends the upload and remembers
 * the answer. Until then the old version stands, and a completion whose process died has not happened: whoever asks for it again completes it.
 */
export async function completeUpload(context: UploadContext, ctx: Ctx, request: CompleteUpload): Promise<PutResult> {
  const { kit, gate } = context;
  kit.assertCatalogSpace();
  return await gate.end(request.uploadId, async () => {
    const answered = await findAnswer(kit, request);
    if (answered !== undefined) return answered;
    const upload = await getUpload(kit, request);
    const arrived = await readCatalog(kit.kv, (tx) => readParts(tx, upload.uploadId, { limit: MAX_PARTS }));
    const whole = checkCompletion(upload, arrived, request);
    if (whole.sizeBytes > kit.settings.maxObjectBytes) {
      throw new GfsError(
        "TooLarge",
        `An object may have ${kit.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
      );
    }
    return await land(kit, ctx, { upload, whole, conditions: request.conditions });
  });
}

/**
 * One process at a time completes it: what it makes at the sites is its own until the catalog has it, or it has taken it away again. The row says so to whoever
 * meets such an object. Resolves with this process's tag.
 */
async function take(kit: Kit, { path, uploadId }: UploadRecord): Promise<string> {
  const { tag } = kit.writer;
  return await kit.kv.transact(function* (tx): Program<string> {
    const upload = yield* findUpload(tx, path, uploadId);
    if (upload === undefined) throw noUpload({ uploadId });
    const { completing } = upload;
    if (completing !== undefined && completing !== tag && (yield* isWriterAlive(tx, completing)))
      throw new GfsError("Conflict", "Another process completes this upload just now; try again.");
    putUpload(tx, { ...upload, completing: tag });
    return tag;
  });
}

/** A client whose answer was lost asks again, and is told the same. */
async function findAnswer(kit: Kit, { key, uploadId }: UploadPlace): Promise<PutResult | undefined> {
  const ended = await readCatalog(kit.kv, (tx) => findEndedUpload(tx, uploadId));
  return ended?.path === locate(key).path ? (ended.answer as PutResult | undefined) : undefined;
}

interface Landing {
  readonly upload: UploadRecord;
  readonly whole: Whole;
  readonly conditions: CompleteUpload["conditions"];
}

async function land(kit: Kit, ctx: Ctx, { upload, whole, conditions }: Landing): Promise<PutResult> {
  const { path, uploadId } = upload;
  const spent = new Set<SiteName>();
  const writes = sitesOf(kit, upload).flatMap((target): SiteWrite[] => {
    const infos = partsAt(target, whole);
    if (infos === undefined) return [];
    return [
      {
        site: target.site,
        objectKey: target.objectKey,
        versionId: uploadId,
        // Where the upload goes was decided when it was begun.
        ...(target.objectKey.startsWith(LANDED_PREFIX) ? { occupant: "unknown" as const } : {}),
        staged: stagedUpload(kit, { target, infos, upload, whole, spent }),
      },
    ];
  });
  if (writes.length === 0)
    throw refuse("InvalidPart", "No site of the upload holds all of these parts; send them again.");
  const version = versionOf(kit, upload, whole);
  const plan = kit.router.planWrite(path);
  const following = [...plan.required, ...plan.following].filter(
    (site, index, all) => all.indexOf(site) === index && !writes.some((write) => write.site.name === site.name),
  );
  const completing = await take(kit, upload);
  try {
    return await commitWrite(kit, ctx, {
      conditions,
      path,
      writes,
      version,
      following,
      publish: plan.publish,
      *holds(tx) {
        const found = yield* findUpload(tx, path, uploadId);
        if (found?.completing !== completing) throw noUpload(upload);
      },
      *also(tx, { file, previous }) {
        const meta = describeFile(path, file);
        const answer: PutResult = { meta, created: previous === undefined, pendingSites: [] };
        writeVersionParts(
          tx,
          version.id,
          whole.parts.map(({ partNumber, sizeBytes, checksum }) => ({
            partNumber,
            sizeBytes,
            ...(upload.checksum === undefined || checksum === undefined ? {} : { checksum }),
          })),
        );
        yield* endUpload(tx, upload, { uploadId, path, endedMs: version.createdMs, answer });
      },
    });
  } catch (error) {
    await keepWhatIsLeft(kit, upload, spent);
    throw toGfsError(error, "coordinator.upload");
  }
}

function versionOf(kit: Kit, upload: UploadRecord, whole: Whole): Omit<FileVersion, "copies"> {
  const { contentType, metadata, contentHeaders, owner, labels } = upload;
  const details: VersionDetails = {
    checksum: whole.checksum,
    ...(whole.wholeChecksum === undefined ? {} : { wholeChecksum: whole.wholeChecksum }),
    partCount: whole.parts.length,
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(owner === undefined ? {} : { owner }),
    ...(labels === undefined ? {} : { labels }),
  };
  return {
    id: kit.nextVersionId(),
    sizeBytes: whole.sizeBytes,
    etag: whole.etag,
    metadata,
    createdMs: kit.clock.nowMs(),
    details,
    ...keptBlocks(whole.blocks, whole.checksum),
    ...(contentType === undefined ? {} : { contentType }),
  };
}

/** Undefined for a site that lacks a part: it was added to the registry again under the same name, say. */
function partsAt({ site }: SiteTarget, { parts }: Whole): PartInfo[] | undefined {
  const infos: PartInfo[] = [];
  for (const { partNumber, sizeBytes, sites } of parts) {
    const etag = sites.find((each) => each.site === site.name)?.etag;
    if (etag === undefined) return undefined;
    infos.push({ partNumber, sizeBytes, etag });
  }
  return infos;
}

interface StagedAtSite {
  readonly target: SiteTarget;
  readonly infos: readonly PartInfo[];
  readonly upload: UploadRecord;
  readonly whole: Whole;
  /** Sites whose upload is no more, whatever came of it. */
  readonly spent: Set<SiteName>;
}

/** All bytes are at the site already; what is left is to make them an object. */
function stagedUpload(kit: Kit, { target, infos, upload, whole, spent }: StagedAtSite): SiteWrite["staged"] {
  const { site, objectKey: key } = target;
  const metadata = lateMetadata({ md5: whole.etag, checksum: whole.checksum });
  return {
    write: () => Promise.reject(new GfsError("Internal", "An upload in parts takes no bytes when it is completed.")),
    seal: () => Promise.resolve(),
    // The parts stay for another attempt.
    abort: () => Promise.resolve(),
    async commit(ctx, options) {
      try {
        const made = { key, uploadId: target.uploadId };
        const info = await site.store.completeMultipart(ctx, made, infos, { ...options, metadata });
        spent.add(site.name);
        return info;
      } catch (error) {
        if (!isGfsError(error, "NotFound")) throw error;
        spent.add(site.name);
        const landed = await findLanded(ctx, { site, upload, whole, key });
        if (landed === undefined) {
          throw new GfsError(
            "Unavailable",
            "It has lost the parts of this upload; try again to complete it at the other sites.",
            { op: "coordinator.upload", cause: error },
          );
        }
        kit.log.info("upload_landed_before", { site: site.name, key: landed.key, upload: upload.uploadId });
        return landed;
      }
    },
  };
}

/** An earlier attempt, whose process died or whose answer was lost, may have made the object. */
async function findLanded(
  ctx: Ctx,
  { site, upload, whole, key }: Pick<StagedAtSite, "upload" | "whole"> & { readonly site: Site; readonly key: string },
): Promise<ObjectInfo | undefined> {
  for (const place of new Set([key, landedKey(upload.path, upload.uploadId)])) {
    const info = await site.store.head(ctx, place).catch(() => undefined);
    if (info?.metadata["globalfs-version"] === upload.uploadId && info.sizeBytes === whole.sizeBytes) return info;
  }
  return undefined;
}

/** Sites whose upload has gone are no part of it any more; with none left there is nothing to complete. */
async function keepWhatIsLeft(kit: Kit, upload: UploadRecord, spent: ReadonlySet<SiteName>): Promise<void> {
  if (upload.sites.every(({ site }) => spent.has(site))) {
    await endAborted(kit, upload);
    return;
  }
  await kit.kv.transact(function* (tx): Program<void> {
    const current = yield* findUpload(tx, upload.path, upload.uploadId);
    if (current?.completing !== kit.writer.tag) return;
    const { completing: _, ...rest } = current;
    leaveSites(tx, rest, spent);
  });
}

export async function abortUpload(context: UploadContext, place: UploadPlace): Promise<void> {
  const { kit, gate } = context;
  await gate.end(place.uploadId, async () => {
    const ended = await readCatalog(kit.kv, (tx) => findEndedUpload(tx, place.uploadId));
    if (ended !== undefined && ended.path === locate(place.key).path && ended.answer === undefined) return;
    const upload = await getUpload(kit, place);
    // Somebody may have looked at a site where an interrupted completion had made the object, and taken it in: then it has happened.
    const current = await readCatalog(kit.kv, (tx) => findFile(tx, upload.path));
    await endAborted(kit, upload);
    if (current?.version?.id === upload.uploadId) throw noUpload(place);
  });
}
