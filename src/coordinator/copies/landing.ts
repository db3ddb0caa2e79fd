import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import { type FilePath, ROOT_INODE, type VersionId } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import { findFile, findOwner, removeFile } from "../../namespace/index.ts";
import { type CommitOptions, headIfThere, type ObjectInfo, type Site, type StagedWrite } from "../../stores/index.ts";
import { stepAside } from "./make-room.ts";
import { landedKey, type Target } from "./object-keys.ts";
import type { Kit } from "../kit.ts";
import { enqueueRemoval } from "./removal.ts";

/**
 * The same bytes on their way to every required site, each time to a key where nothing lies. The catalog decides afterwards whether they are the file's:
 * until then nothing has happened, and what a failure leaves is removed, at once or by the sweep.
 */

export interface SiteWrite extends Target {
  readonly staged: Pick<StagedWrite, "write" | "seal" | "abort"> & {
    /** With `as`, under that key instead; `Unsupported` where that cannot be. */
    commit(ctx: Ctx, options: CommitOptions): Promise<ObjectInfo>;
  };
  /** Which version the object there says it is. An upload in parts says so when it begins, and gets its version when it ends. */
  readonly versionId: VersionId;
}

export interface Landed extends Omit<Target, "occupant"> {
  readonly info: ObjectInfo;
  readonly occupant?: ObjectInfo;
}

export async function abortAll(writes: readonly SiteWrite[]): Promise<void> {
  await Promise.allSettled(writes.map(async ({ staged }) => await staged.abort()));
}

/** Opens a staged write at each site; when one refuses, none stays open. */
export async function stageAll(
  ctx: Ctx,
  targets: readonly Target[],
  versionId: VersionId,
  options: Parameters<Site["store"]["stage"]>[2],
): Promise<SiteWrite[]> {
  const opened: SiteWrite[] = [];
  try {
    for (const target of targets) {
      const { site, objectKey } = target;
      const staged = await site.store.stage(ctx, objectKey, options).catch((error: unknown) => {
        throw atSite(site, error);
      });
      opened.push({ ...target, staged, versionId });
    }
    return opened;
  } catch (error) {
    await abortAll(opened);
    throw error;
  }
}

/** Says which site it was, in words a person can act on. */
export function atSite(site: Site, error: unknown): GfsError {
  const failure = toGfsError(error, "coordinator.write");
  if (failure.code === "Canceled") return failure;
  return new GfsError(failure.code, `Site ${site.name} did not take the write: ${failure.message}`, {
    op: "coordinator.write",
    retry: failure.retry,
    context: { ...failure.context, site: site.name },
    cause: failure,
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
  });
}

export interface Sent {
  readonly sizeBytes: number;
  readonly sha256?: string;
}

/** Makes the object appear at every site. When one of them fails, the write as a whole has failed: what may have landed goes, and the first failure is thrown. */
export async function landAll(
  kit: Kit,
  ctx: Ctx,
  { path, writes, sent }: { readonly path: FilePath; readonly writes: readonly SiteWrite[]; readonly sent: Sent },
): Promise<Landed[]> {
  const outcomes = await Promise.allSettled(
    writes.map(async (write) => {
      const landed = await landOne(kit, ctx, path, write);
      assertSame(landed.info, sent);
      return landed;
    }),
  );
  const landed: Landed[] = [];
  const doubtful: Target[] = [];
  let failure: GfsError | undefined;
  outcomes.forEach((outcome, index) => {
    const write = writes[index] as SiteWrite;
    if (outcome.status === "fulfilled") landed.push(outcome.value);
    else {
      failure ??= atSite(write.site, outcome.reason);
      doubtful.push(...placesOf(path, write));
    }
  });
  if (failure === undefined) return landed;
  const { versionId } = writes[0] as SiteWrite;
  await undo(kit, path, { versionId, sizeBytes: sent.sizeBytes, landed, doubtful });
  await abortAll(writes);
  throw failure;
}

/** Where a write that failed may have landed all the same. */
function placesOf(path: FilePath, { site, objectKey, versionId }: SiteWrite): Target[] {
  const place = { site, objectKey };
  return objectKey === path ? [place, { site, objectKey: landedKey(path, versionId) }] : [place];
}

/** A site that says it holds something else has not taken the write. */
function assertSame(info: ObjectInfo, sent: Sent): void {
  const sameSum = info.sha256 === undefined || sent.sha256 === undefined || info.sha256 === sent.sha256;
  if (info.sizeBytes === sent.sizeBytes && sameSum) return;
  throw new GfsError("DataCorrupt", "It says that it holds other bytes than were sent; send the write again.", {
    op: "coordinator.write",
    context: { key: info.key, sentBytes: sent.sizeBytes, heldBytes: info.sizeBytes },
  });
}

async function landOne(kit: Kit, ctx: Ctx, path: FilePath, write: SiteWrite): Promise<Landed> {
  const { site, objectKey } = write;
  if (objectKey !== path) {
    const info = await commitOne(kit, ctx, write, {});
    const occupant = write.occupant === "unknown" ? await headIfThere(ctx, site.store, path) : write.occupant;
    return { site, objectKey, info, ...(occupant === undefined ? {} : { occupant }) };
  }
  const conditional = site.store.capabilities.conditionalWrites;
  try {
    // Where a site does not keep conditions only a look can tell, and another tool may come in between.
    const there = conditional ? undefined : await headIfThere(ctx, site.store, path);
    if (there === undefined) {
      const info = await commitOne(kit, ctx, write, conditional ? { ifNoneMatch: "*" } : {});
      // An upload in parts may have landed elsewhere, by an earlier attempt.
      return { site, objectKey: info.key, info };
    }
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed")) throw error;
  }
  return await landBeside(kit, ctx, path, write);
}

/** Something lies under the path: an object of another tool, or that of another write. Nothing is lost of it. */
async function landBeside(kit: Kit, ctx: Ctx, path: FilePath, write: SiteWrite): Promise<Landed> {
  const { site, versionId } = write;
  const occupant = await headIfThere(ctx, site.store, path);
  if (occupant !== undefined && isOurs(site, occupant, write)) return { site, objectKey: path, info: occupant };
  const objectKey = landedKey(path, versionId);
  try {
    const info = await commitOne(kit, ctx, { ...write, objectKey }, { as: objectKey });
    return { site, objectKey, info, ...(occupant === undefined ? {} : { occupant }) };
  } catch (error) {
    if (!isGfsError(error, "Unsupported")) throw error;
    return await landOver(kit, ctx, path, write);
  }
}

const MOST_LOOKS = 4;

/** It keeps its key: what lies there steps aside. */
async function landOver(kit: Kit, ctx: Ctx, path: FilePath, write: SiteWrite): Promise<Landed> {
  const { site } = write;
  let cause: unknown;
  for (let look = 0; look < MOST_LOOKS && site.store.capabilities.conditionalWrites; look++) {
    const occupant = await headIfThere(ctx, site.store, path);
    const aside = occupant === undefined ? { back: [] } : await stepAside(kit, ctx, { site, path, occupant });
    if (aside === undefined) break;
    const back = aside.back.map((id) => kit.mover.take(id));
    try {
      const info = await commitOne(kit, ctx, write, occupant === undefined ? NEW : { ifMatch: occupant.etag });
      return { site, objectKey: info.key, info };
    } catch (error) {
      if (!isGfsError(error, "PreconditionFailed")) throw error;
      cause = error;
    } finally {
      // While this write is under way nothing goes over it; afterwards the job finds that there is nothing to do, or brings back what was there.
      for (const job of back) job.leave();
    }
  }
  throw new GfsError("Conflict", "Others write the same object at the same time; send the write again.", {
    op: "coordinator.write",
    retry: "safe",
    cause,
  });
}

const NEW = { ifNoneMatch: "*" } as const;

/** The answer to our own write was lost, and the site has met it again. */
function isOurs(site: Site, { metadata }: ObjectInfo, { versionId }: SiteWrite): boolean {
  return site.store.capabilities.userMetadata && metadata["globalfs-version"] === versionId;
}

/** When the answer is lost the site is asked what it has: a write that has happened is no failure. */
async function commitOne(kit: Kit, ctx: Ctx, write: SiteWrite, options: CommitOptions): Promise<ObjectInfo> {
  const { site, objectKey, staged, versionId } = write;
  try {
    return await staged.commit(ctx, options);
  } catch (error) {
    if (!isGfsError(error, "Unavailable", "Timeout", "Internal") || !site.store.capabilities.userMetadata) throw error;
    const info = await site.store.head(backgroundOf(kit), objectKey).catch(() => undefined);
    if (info === undefined || !isOurs(site, info, write)) throw error;
    kit.log.info("commit_answer_lost", { site: site.name, key: objectKey, version: versionId });
    return info;
  }
}

interface Undo {
  readonly versionId: VersionId;
  readonly sizeBytes: number;
  readonly landed: readonly Landed[];
  /** The commit failed, and its effect may be there all the same. */
  readonly doubtful: readonly Target[];
}

/** Takes back what landed: nothing lay there before, so nothing is missing afterwards. */
export async function undo(kit: Kit, path: FilePath, failed: Undo): Promise<void> {
  await forgetFound(kit, path, failed);
  const places = [
    ...failed.landed.map(({ site, objectKey, info }) => ({ site, objectKey, etag: info.etag as string | undefined })),
    ...failed.doubtful.map((place) => ({ ...place, etag: undefined })),
  ];
  for (const { site, objectKey, etag } of places) {
    try {
      // Somebody may have looked at the site and taken it in under another name by now.
      if ((await kit.kv.view((tx) => findOwner(tx, site.name, objectKey))) !== undefined) continue;
      const found = etag ?? (await etagOfOurs(backgroundOf(kit), { site, objectKey }, failed));
      if (found === undefined) continue;
      // Power loss must not give it back to a file.
      await kit.kv.flush();
      await site.store.delete(backgroundOf(kit), objectKey, { ifMatch: found });
    } catch (error) {
      if (isGfsError(error, "NotFound", "PreconditionFailed")) continue;
      await orderRemoval(kit, path, { site, objectKey, etag, versionId: failed.versionId });
    }
  }
  kit.mover.wake();
}

/**
 * What a write left that failed without a clear answer. Another tool may have put an object there in the same moment, which is not ours to
 * delete; where a site keeps no metadata that could tell, the length has to.
 */
async function etagOfOurs(ctx: Ctx, { site, objectKey }: Target, failed: Undo): Promise<string | undefined> {
  const info = await headIfThere(ctx, site.store, objectKey);
  if (info === undefined) return undefined;
  const ours = site.store.capabilities.userMetadata
    ? info.metadata["globalfs-version"] === failed.versionId
    : info.sizeBytes === failed.sizeBytes;
  return ours ? info.etag : undefined;
}

/** An import may have found what landed and taken it in; a file must not outlive its bytes. */
async function forgetFound(kit: Kit, path: FilePath, { versionId }: Undo): Promise<void> {
  const found = await kit.kv.view((tx) => findFile(tx, path));
  if (found?.version?.id !== versionId) return;
  const nowMs = kit.clock.nowMs();
  await kit.inodes.transact(function* (tx): Program<void> {
    const removed = yield* removeFile(tx, {
      path,
      expect: { kind: "version", id: versionId },
      nowMs,
      tombstoneVersionId: versionId,
    });
    for (const place of removed?.orphans ?? [])
      yield* enqueueRemoval(tx, kit, { path, inode: found.inode, versionId, place, nowMs });
  });
}

function backgroundOf(kit: Kit): Ctx {
  return { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS), requestId: "undo", log: kit.log };
}

const UNDO_TIMEOUT_MS = 30_000;

interface Lost extends Target {
  readonly etag: string | undefined;
  readonly versionId: VersionId;
}

/** The remove job looks again whether anybody owns the object by then. What it cannot be ordered for either, the sweep finds. */
async function orderRemoval(kit: Kit, path: FilePath, { site, objectKey, etag, versionId }: Lost): Promise<void> {
  const nowMs = kit.clock.nowMs();
  const id = kit.nextJobId();
  await kit.kv.transact((tx) =>
    enqueueJob(
      tx,
      {
        kind: "remove",
        path,
        inode: ROOT_INODE,
        versionId,
        site: site.name,
        key: objectKey,
        sizeBytes: 0,
        priority: 1,
        ...(etag === undefined ? {} : { etag }),
      },
      { id, nowMs },
    ),
  );
}
