import type { Ctx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import { type FilePath, ROOT_INODE, type VersionId } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import { enqueueJob } from "../mover/index.ts";
import { type Copy, type FileRecord, findFile, removeFile } from "../namespace/index.ts";
import type { ObjectInfo, Site, StagedWrite } from "../stores/index.ts";
import type { Parts } from "./parts.ts";
import { enqueueRemoval } from "./removal.ts";

/** The same bytes on their way to every required site: all of them have everything before any shows it. */

export interface SiteWrite {
  readonly site: Site;
  readonly objectKey: string;
  readonly staged: StagedWrite;
  /** Which version the object there says it is. An upload in parts says so when it begins, and gets its version when it ends. */
  readonly versionId: VersionId;
}

export interface Landed {
  readonly site: Site;
  readonly objectKey: string;
  readonly info: ObjectInfo;
}

export async function abortAll(writes: readonly SiteWrite[]): Promise<void> {
  await Promise.allSettled(writes.map(async ({ staged }) => await staged.abort()));
}

/** Opens a staged write at each site; when one refuses, none stays open. */
export async function stageAll(
  ctx: Ctx,
  targets: readonly { readonly site: Site; readonly objectKey: string }[],
  versionId: VersionId,
  options: Parameters<Site["store"]["stage"]>[2],
): Promise<SiteWrite[]> {
  const opened: SiteWrite[] = [];
  try {
    for (const { site, objectKey } of targets) {
      const staged = await site.store.stage(ctx, objectKey, options).catch((error: unknown) => {
        throw atSite(site, error);
      });
      opened.push({ site, objectKey, staged, versionId });
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

/**
 * Makes the object appear at every site. When one of them fails, the write as a whole has failed: what may have landed is put
 * right, at once where nothing was replaced, else by a durable repair job, and the first failure is thrown.
 */
export async function commitAll(
  parts: Parts,
  ctx: Ctx,
  path: FilePath,
  writes: readonly SiteWrite[],
  { sent, previous }: { readonly sent: Sent; readonly previous: FileRecord | undefined },
): Promise<Landed[]> {
  const outcomes = await Promise.allSettled(
    writes.map(async (write) => {
      const info = await commitOne(parts, ctx, write);
      assertSame(info, sent);
      return info;
    }),
  );
  const landed: Landed[] = [];
  const doubtful: SiteWrite[] = [];
  let failure: GfsError | undefined;
  outcomes.forEach((outcome, index) => {
    const write = writes[index] as SiteWrite;
    if (outcome.status === "fulfilled")
      landed.push({ site: write.site, objectKey: write.objectKey, info: outcome.value });
    else {
      failure ??= atSite(write.site, outcome.reason);
      doubtful.push(write);
    }
  });
  if (failure === undefined) return landed;
  const { versionId } = writes[0] as SiteWrite;
  await undo(parts, path, { versionId, sizeBytes: sent.sizeBytes, landed, doubtful, previous });
  await abortAll(writes);
  throw failure;
}

export interface Sent {
  readonly sizeBytes: number;
  readonly sha256?: string;
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

/** When the answer is lost the site is asked what it has: a write that has happened is no failure. */
async function commitOne(
  parts: Parts,
  ctx: Ctx,
  { site, objectKey, staged, versionId }: SiteWrite,
): Promise<ObjectInfo> {
  try {
    return await staged.commit(ctx);
  } catch (error) {
    if (!isGfsError(error, "Unavailable", "Timeout", "Internal") || !site.store.capabilities.userMetadata) throw error;
    const info = await site.store.head(backgroundOf(parts), objectKey).catch(() => undefined);
    if (info?.metadata["globalfs-version"] !== versionId) throw error;
    parts.log.info("commit_answer_lost", { site: site.name, key: objectKey, version: versionId });
    return info;
  }
}

interface HalfDone {
  readonly versionId: VersionId;
  readonly sizeBytes: number;
  readonly landed: readonly Landed[];
  /** The commit failed, and its effect may be there all the same. */
  readonly doubtful: readonly SiteWrite[];
  readonly previous: FileRecord | undefined;
}

export async function undo(parts: Parts, path: FilePath, half: HalfDone): Promise<void> {
  const { landed, doubtful, previous } = half;
  await forgetFound(parts, path, half);
  const places = [
    ...landed.map(({ site, objectKey, info }) => ({ site, objectKey, etag: info.etag as string | undefined })),
    ...doubtful.map(({ site, objectKey }) => ({ site, objectKey, etag: undefined })),
  ];
  for (const { site, objectKey, etag } of places) {
    const replaced = previous?.version?.copies.find((copy) => copy.site === site.name && copy.key === objectKey);
    if (previous !== undefined && replaced !== undefined) {
      await orderRepair(parts, path, { file: previous, copy: replaced, site });
      continue;
    }
    try {
      const found = etag ?? (await etagOfOurs(backgroundOf(parts), site, objectKey, half));
      if (found !== undefined) await site.store.delete(backgroundOf(parts), objectKey, { ifMatch: found });
    } catch (error) {
      if (isGfsError(error, "NotFound", "PreconditionFailed")) continue;
      await orderRemoval(parts, path, { site, objectKey, etag, versionId: half.versionId });
    }
  }
  parts.mover.wake();
}

/**
 * What a write left that failed without a clear answer. Another tool may have put an object there in the same moment, which is not ours to
 * delete; where a site keeps no metadata that could tell, the length has to.
 */
async function etagOfOurs(ctx: Ctx, site: Site, key: string, half: HalfDone): Promise<string | undefined> {
  const info = await site.store.head(ctx, key);
  const ours = site.store.capabilities.userMetadata
    ? info.metadata["globalfs-version"] === half.versionId
    : info.sizeBytes === half.sizeBytes;
  return ours ? info.etag : undefined;
}

/** An import may have found what landed and taken it in; a file must not outlive its bytes. */
async function forgetFound(parts: Parts, path: FilePath, { versionId }: HalfDone): Promise<void> {
  const found = await parts.kv.view((tx) => findFile(tx, path));
  if (found?.version?.id !== versionId) return;
  const nowMs = parts.clock.nowMs();
  await parts.kv.transact(function* (tx): Program<void> {
    const removed = yield* removeFile(tx, {
      path,
      expect: { kind: "version", id: versionId },
      nowMs,
      tombstoneVersionId: versionId,
    });
    for (const copy of removed?.orphans ?? []) {
      const { inode } = found;
      yield* enqueueRemoval(tx, parts, { path, inode, versionId, copy, nowMs });
    }
  });
}

function backgroundOf(parts: Parts): Ctx {
  return { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS), requestId: "undo", log: parts.log };
}

const UNDO_TIMEOUT_MS = 30_000;

interface Place {
  readonly site: Site;
  readonly objectKey: string;
  readonly etag: string | undefined;
  readonly versionId: VersionId;
}

/** The remove job looks again whether anybody owns the object by then. */
async function orderRemoval(parts: Parts, path: FilePath, { site, objectKey, etag, versionId }: Place): Promise<void> {
  const nowMs = parts.clock.nowMs();
  const id = parts.nextJobId();
  await parts.kv.transact((tx) =>
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
      { id, nowMs, limit: Number.MAX_SAFE_INTEGER },
    ),
  );
}

async function orderRepair(
  parts: Parts,
  path: FilePath,
  { file, copy, site }: { readonly file: FileRecord; readonly copy: Copy; readonly site: Site },
): Promise<void> {
  const version = file.version;
  if (version === undefined) return;
  const nowMs = parts.clock.nowMs();
  const id = parts.nextJobId();
  await parts.kv.transact((tx) =>
    enqueueJob(
      tx,
      {
        kind: "repair",
        path,
        inode: file.inode,
        versionId: version.id,
        site: site.name,
        key: copy.key,
        sizeBytes: version.sizeBytes,
        priority: 1,
      },
      { id, nowMs, limit: Number.MAX_SAFE_INTEGER },
    ),
  );
}
