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
  keepsVersions,
  putUpload,
  readKeyState,
  readParts,
  rulesOf,
  type UploadRecord,
  type VersionDetails,
  writeVersionParts,
} from "../../namespace/index.ts";
import type { PartInfo, StagedWrite } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { checkWriteConditions } from "../conditions.ts";
import { locate } from "../lookup.ts";
import { describeFile, lateMetadata } from "../object-meta.ts";
import type { Parts } from "../parts.ts";
import type { CompleteUpload, PutResult, UploadPlace } from "../service.ts";
import type { SiteWrite } from "../site-commit.ts";
import { commitPut } from "../write.ts";
import { checkCompletion, type Whole } from "./completion-check.ts";
import { getUpload, noUpload, refuse, type UploadContext } from "./context.ts";
import { abandon, isSuperseded, isUntouched, mayFinish, superseded } from "./interrupted.ts";
import { endAborted } from "./open.ts";
import { type SiteTarget, sitesOf } from "./put-part.ts";

const MAX_PARTS = 10_000;

/**
 * The sites' uploads are completed as staged writes are committed, under the path's lock; one transaction makes the version, ends the upload and
 * remembers the answer. Until then the old version stands.
 */
export async function completeUpload(context: UploadContext, ctx: Ctx, request: CompleteUpload): Promise<PutResult> {
  const { parts, gate } = context;
  const { path } = locate(request.key);
  parts.assertCatalogSpace();
  return await gate.end(request.uploadId, async () => {
    const answered = await findAnswer(parts, request);
    if (answered !== undefined) return answered;
    const upload = await getUpload(parts, request);
    const arrived = await readCatalog(parts.kv, (tx) => readParts(tx, upload.uploadId, { limit: MAX_PARTS }));
    const whole = checkCompletion(upload, arrived, request);
    if (whole.sizeBytes > parts.settings.maxObjectBytes) {
      throw new GfsError(
        "TooLarge",
        `An object may have ${parts.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
      );
    }
    return await parts.locks.run(
      path,
      async () => await land(parts, ctx, { upload, whole, conditions: request.conditions }),
    );
  });
}

/** A client whose answer was lost asks again, and is told the same. */
async function findAnswer(parts: Parts, { key, uploadId }: UploadPlace): Promise<PutResult | undefined> {
  const ended = await readCatalog(parts.kv, (tx) => findEndedUpload(tx, uploadId));
  if (ended?.path !== locate(key).path) return undefined;
  if (ended.superseded !== undefined) throw superseded();
  return ended.answer as PutResult | undefined;
}

interface Landing {
  readonly upload: UploadRecord;
  readonly whole: Whole;
  readonly conditions: CompleteUpload["conditions"];
}

/** The caller holds the path's lock. */
async function land(parts: Parts, ctx: Ctx, { upload, whole, conditions }: Landing): Promise<PutResult> {
  const { path, uploadId } = upload;
  if (upload.completing !== undefined && !(await mayFinish(parts, ctx, upload))) {
    await abandon(parts, upload);
    throw superseded();
  }
  const spent = new Set<SiteName>();
  const writes = sitesOf(parts, upload).flatMap((target): SiteWrite[] => {
    const infos = partsAt(target, whole);
    if (infos === undefined) return [];
    return [
      {
        site: target.site,
        objectKey: target.objectKey,
        versionId: uploadId,
        staged: stagedUpload(parts, { target, infos, upload, whole, spent }),
      },
    ];
  });
  if (writes.length === 0)
    throw refuse("InvalidPart", "No site of the upload holds all of these parts; send them again.");
  const version = versionOf(parts, upload, whole);
  const plan = parts.router.planWrite(path);
  const following = [...plan.required, ...plan.following].filter(
    (site, index, all) => all.indexOf(site) === index && !writes.some((write) => write.site.name === site.name),
  );
  await assertNothingLost(parts, upload, writes);
  const marked = await markCompleting(parts, upload, { whole, conditions });
  try {
    return await commitPut(parts, ctx, {
      conditions,
      path,
      writes,
      version,
      following,
      *holds(tx) {
        if ((yield* findUpload(tx, path, uploadId)) === undefined) throw noUpload(upload);
        if (!(yield* isUntouched(tx, upload))) throw superseded();
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
    if (isSuperseded(error)) await abandon(parts, marked);
    else await keepWhatIsLeft(parts, upload, spent);
    throw toGfsError(error, "coordinator.upload");
  }
}

/** An upload that began before its bucket kept versions goes to the key where the version from then lies. */
async function assertNothingLost(parts: Parts, { path }: UploadRecord, writes: readonly SiteWrite[]): Promise<void> {
  const lost = await readCatalog(parts.kv, function* (tx): Program<boolean> {
    if (!keepsVersions(yield* rulesOf(tx, path))) return false;
    const current = yield* findFile(tx, path);
    const copies = current?.version?.copies ?? [];
    return writes.some(({ site, objectKey }) =>
      copies.some(
        (copy) => copy.site === site.name && copy.key === objectKey && current?.version?.id !== writes[0]?.versionId,
      ),
    );
  });
  if (!lost) return;
  throw new GfsError(
    "Conflict",
    `The bucket began to keep versions after this upload was begun, and completing it would overwrite one; begin it anew.`,
    { op: "coordinator.upload", retry: "never" },
  );
}

function versionOf(parts: Parts, upload: UploadRecord, whole: Whole): Omit<FileVersion, "copies"> {
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
    id: parts.nextVersionId(),
    sizeBytes: whole.sizeBytes,
    etag: whole.etag,
    metadata,
    createdMs: parts.clock.nowMs(),
    details,
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
function stagedUpload(parts: Parts, { target, infos, upload, whole, spent }: StagedAtSite): StagedWrite {
  const { site, objectKey: key } = target;
  const metadata = lateMetadata({ md5: whole.etag, checksum: whole.checksum });
  return {
    write: () => Promise.reject(new GfsError("Internal", "An upload in parts takes no bytes when it is completed.")),
    seal: () => Promise.resolve(),
    // The parts stay for another attempt.
    abort: () => Promise.resolve(),
    async commit(ctx) {
      try {
        const info = await site.store.completeMultipart(
          ctx,
          { key, uploadId: target.uploadId },
          infos,
          metadata === undefined ? {} : { metadata },
        );
        spent.add(site.name);
        return info;
      } catch (error) {
        if (!isGfsError(error, "NotFound")) throw error;
        spent.add(site.name);
        // An earlier attempt, whose process died or whose answer was lost, may have made the object.
        const info = await site.store.head(ctx, key).catch(() => undefined);
        if (info?.metadata["globalfs-version"] !== upload.uploadId || info.sizeBytes !== whole.sizeBytes) {
          throw new GfsError(
            "Unavailable",
            "It has lost the parts of this upload; try again to complete it at the other sites.",
            {
              op: "coordinator.upload",
              cause: error,
            },
          );
        }
        parts.log.info("upload_landed_before", { site: site.name, key, upload: upload.uploadId });
        return info;
      }
    },
  };
}

/**
 * Should the process die now, the leader finishes what the sites may have begun to show, while the key is what it is now. The conditions are
 * checked here, because nobody else knows them then.
 */
async function markCompleting(
  parts: Parts,
  upload: UploadRecord,
  { whole, conditions }: Omit<Landing, "upload">,
): Promise<UploadRecord> {
  const partNumbers = whole.parts.map(({ partNumber }) => partNumber);
  const atMs = parts.clock.nowMs();
  return await parts.kv.transact(function* (tx): Program<UploadRecord> {
    const { path, uploadId } = upload;
    if ((yield* findUpload(tx, path, uploadId)) === undefined) throw noUpload(upload);
    const version = (yield* findFile(tx, path))?.version;
    if (version?.id !== uploadId) checkWriteConditions(conditions, version && currentOf(version));
    const base = upload.completing?.base ?? (yield* readKeyState(tx, path));
    const marked: UploadRecord = { ...upload, completing: { partNumbers, atMs, base } };
    putUpload(tx, marked);
    return marked;
  });
}

function currentOf({ etag, createdMs }: FileVersion): { etag: string; modifiedMs: number } {
  return { etag, modifiedMs: createdMs };
}

/** Sites whose upload has gone are no part of it any more; with none left there is nothing to complete. */
async function keepWhatIsLeft(parts: Parts, upload: UploadRecord, spent: ReadonlySet<SiteName>): Promise<void> {
  const { completing: _, ...rest } = upload;
  const sites = upload.sites.filter(({ site }) => !spent.has(site));
  if (sites.length === 0) {
    await endAborted(parts, upload);
    return;
  }
  await parts.kv.transact(function* (tx): Program<void> {
    if ((yield* findUpload(tx, upload.path, upload.uploadId)) !== undefined) putUpload(tx, { ...rest, sites });
  });
}

export async function abortUpload(context: UploadContext, ctx: Ctx, place: UploadPlace): Promise<void> {
  const { parts, gate } = context;
  await gate.end(place.uploadId, async () => {
    const ended = await readCatalog(parts.kv, (tx) => findEndedUpload(tx, place.uploadId));
    if (ended !== undefined && ended.path === locate(place.key).path && ended.answer === undefined) return;
    const upload = await getUpload(parts, place);
    // Some site may show it already; then it has happened, and the abort comes too late.
    if (upload.completing === undefined) await endAborted(parts, upload);
    else if (await finishCompleting(parts, ctx, upload)) throw noUpload(place);
  });
}

/** What waiting mends. */
const WAITED_FOR = ["Unavailable", "Timeout", "Overloaded", "NoSpace", "Canceled", "Internal"] as const;

/**
 * Of a completion whose process died in the middle; the caller has closed the gate. False when it was abandoned: the key has moved on, or
 * nothing will ever come of it.
 */
export async function finishCompleting(parts: Parts, ctx: Ctx, upload: UploadRecord): Promise<boolean> {
  const { path } = upload;
  return await parts.locks.run(path, async () => {
    try {
      await land(parts, ctx, { upload, whole: await wholeOf(parts, upload), conditions: undefined });
      return true;
    } catch (error) {
      if (isGfsError(error, ...WAITED_FOR) && error.retry !== "never") throw error;
      if (!isSuperseded(error)) await abandon(parts, upload);
      return false;
    }
  });
}

async function wholeOf(parts: Parts, upload: UploadRecord): Promise<Whole> {
  const numbers = new Set(upload.completing?.partNumbers);
  const arrived = await readCatalog(parts.kv, (tx) => readParts(tx, upload.uploadId, { limit: MAX_PARTS }));
  const chosen = arrived.filter(({ partNumber }) => numbers.has(partNumber));
  return checkCompletion(upload, arrived, {
    key: upload.path,
    uploadId: upload.uploadId,
    parts: chosen.map(({ partNumber, etag }) => ({ partNumber, etag })),
  });
}
