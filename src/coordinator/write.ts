import type { Ctx } from "../core/context.ts";
import { GfsError, toGfsError } from "../core/errors.ts";
import type { FilePath, Inode } from "../core/ids.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { enqueueJob, markUnqueued } from "../mover/index.ts";
import {
  commitVersion,
  type Committed,
  type ContentChecksum,
  type Copy,
  etagOf,
  type Expectation,
  type FileRecord,
  type FileVersion,
  findFile,
  findOwner,
  makeDirectory,
  noObjectLock,
  rulesOf,
  type VersionDetails,
} from "../namespace/index.ts";
import type { Site } from "../stores/index.ts";
import { afterCommit } from "./after-commit.ts";
import { type BodyDigest, createBodyDigest } from "./body-digest.ts";
import { readCatalog } from "./catalog-view.ts";
import { checkWriteConditions } from "./conditions.ts";
import { adoptFromSites } from "./foreign.ts";
import { type Located, locate } from "./lookup.ts";
import { chooseKeys } from "./object-keys.ts";
import { checkUserMetadata, describeFile, lateMetadata, storedMetadata } from "./object-meta.ts";
import type { Parts } from "./parts.ts";
import { enqueueRelocations } from "./relocation.ts";
import type { Conditions, PutRequest, PutResult } from "./service.ts";
import { abortAll, atSite, commitAll, type Landed, type SiteWrite, stageAll, undo } from "./site-commit.ts";

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/**
 * Streams the body to all required sites at once, then commits: under the path's lock every site shows the object, the catalog
 * takes the version and the jobs for the other sites in one transaction. Until then the old version stands.
 */
export async function putObject(parts: Parts, ctx: Ctx, request: PutRequest): Promise<PutResult> {
  const where = locate(request.key);
  parts.assertCatalogSpace();
  checkUserMetadata(request.metadata ?? {});
  if (request.sizeBytes !== undefined && request.sizeBytes > parts.settings.maxObjectBytes) throw tooLarge(parts);
  if (where.directory) return await putDirectory(parts, request, where);
  return await putFile(parts, ctx, request, where.path);
}

function tooLarge(parts: Parts): GfsError {
  return new GfsError(
    "TooLarge",
    `An object may have ${parts.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
  );
}

async function putDirectory(parts: Parts, request: PutRequest, where: Located): Promise<PutResult> {
  for await (const chunk of request.body) {
    if (chunk.byteLength > 0) {
      throw new GfsError(
        "InvalidKey",
        `${where.key} names a directory, which holds no bytes; leave out the trailing slash to store an object.`,
      );
    }
  }
  const nowMs = parts.clock.nowMs();
  const file = await parts.inodes.transact((tx, nextInode) =>
    makeDirectory(tx, {
      path: where.path,
      mode: DIRECTORY_MODE,
      uid: 0,
      gid: 0,
      parents: true,
      existing: "keep",
      nowMs,
      nextInode,
    }),
  );
  return { meta: describeFile(where.key, file), created: file.created.ms === nowMs, pendingSites: [] };
}

async function putFile(parts: Parts, ctx: Ctx, request: PutRequest, path: FilePath): Promise<PutResult> {
  const plan = parts.router.planWrite(path);
  if (plan.required.length === 0) {
    throw new GfsError(
      "Unavailable",
      `No site takes writes for ${path}; add a primary site or change the rule ${plan.rule ?? "order"}.`,
    );
  }
  const before = await readCatalog(parts.kv, (tx) => findFile(tx, path));
  // A condition needs to know what the sites have; an unconditional write replaces it whatever it is.
  const known = before ?? (request.conditions === undefined ? undefined : await adoptFromSites(parts, ctx, path));
  checkWriteConditions(request.conditions, currentOf(known));
  if (request.labels?.lock !== undefined && !(await readCatalog(parts.kv, (tx) => rulesOf(tx, path))).objectLock)
    throw noObjectLock();

  const versionId = parts.nextVersionId();
  const createdMs = parts.clock.nowMs();
  const targets = await readCatalog(parts.kv, (tx) =>
    chooseKeys(tx, { path, sites: plan.required, owner: known, versionId }),
  );
  const writes = await stageAll(ctx, targets, versionId, {
    metadata: storedMetadata(request.metadata ?? {}, {
      path,
      version: versionId,
      createdMs,
      mode: FILE_MODE,
      details: detailsOf(request, undefined),
    }),
    ...(request.contentType === undefined ? {} : { contentType: request.contentType }),
    ...(request.sizeBytes === undefined ? {} : { sizeBytes: request.sizeBytes }),
  });
  const digest = createBodyDigest(request);
  try {
    await streamBody(parts, request, writes, digest);
    const { sha256, md5, crc32c } = await digest.finish();
    const checksum = request.checksum?.() ?? crc32c;
    const final = { ...(sha256 === undefined ? {} : { sha256 }), metadata: lateMetadata({ md5, checksum }) };
    await eachSite(writes, async ({ staged }) => await staged.seal(final));
    const version: Omit<FileVersion, "copies"> = {
      id: versionId,
      sizeBytes: digest.sizeBytes,
      etag: md5 ?? etagOf(sha256 as string),
      metadata: request.metadata ?? {},
      createdMs,
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(request.contentType === undefined ? {} : { contentType: request.contentType }),
      details: detailsOf(request, checksum),
    };
    return await parts.locks.run(
      path,
      async () =>
        await commitPut(parts, ctx, {
          conditions: request.conditions,
          path,
          writes,
          version,
          following: plan.following,
        }),
    );
  } catch (error) {
    digest.abandon();
    await abortAll(writes);
    throw toGfsError(error, "coordinator.put");
  }
}

function detailsOf(
  { contentHeaders, owner, labels }: PutRequest,
  checksum: ContentChecksum | undefined,
): VersionDetails {
  return {
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(owner === undefined ? {} : { owner }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function currentOf(file: FileRecord | undefined): { etag: string; modifiedMs: number } | undefined {
  return file?.version === undefined ? undefined : { etag: file.version.etag, modifiedMs: file.version.createdMs };
}

async function eachSite(writes: readonly SiteWrite[], work: (write: SiteWrite) => Promise<void>): Promise<void> {
  const only = writes[0];
  if (writes.length === 1 && only !== undefined) {
    await work(only).catch((error: unknown) => {
      throw atSite(only.site, error);
    });
    return;
  }
  const outcomes = await Promise.allSettled(writes.map(async (write) => await work(write)));
  outcomes.forEach((outcome, index) => {
    if (outcome.status === "rejected") throw atSite((writes[index] as SiteWrite).site, outcome.reason);
  });
}

async function streamBody(
  parts: Parts,
  request: PutRequest,
  writes: readonly SiteWrite[],
  digest: BodyDigest,
): Promise<void> {
  const { maxObjectBytes } = parts.settings;
  for await (const chunk of request.body) {
    const room = digest.update(chunk);
    if (digest.sizeBytes > maxObjectBytes) throw tooLarge(parts);
    if (request.sizeBytes !== undefined && digest.sizeBytes > request.sizeBytes) await digest.finish();
    if (room !== undefined) await room;
    await eachSite(writes, async ({ staged }) => await staged.write(chunk));
  }
}

export interface ReadyToCommit {
  readonly conditions: Conditions | undefined;
  readonly path: FilePath;
  readonly writes: readonly SiteWrite[];
  readonly version: Omit<FileVersion, "copies">;
  /** Sites that get their copy by a job. */
  readonly following: readonly Site[];
  /** Its content came from another object. */
  readonly copied?: boolean;
  /** Throws where the commit must not happen any more; asked in its transaction, before anything is written. */
  readonly holds?: (tx: Reader) => Program<void>;
  /** Rows that belong to the same commit. */
  readonly also?: (tx: Transaction, committed: Committed) => Program<void>;
}

/** The caller holds the path's lock, and aborts the writes when this rejects. */
export async function commitPut(parts: Parts, ctx: Ctx, ready: ReadyToCommit): Promise<PutResult> {
  const { conditions, path, writes } = ready;
  const { current, taken } = await readCatalog(parts.kv, (tx) => lookBeforeCommit(tx, ready));
  // An import may have found what an earlier attempt of this very write left at a site.
  const own = current?.version !== undefined && current.version.id === writes[0]?.versionId;
  checkWriteConditions(conditions, own ? undefined : currentOf(current));
  if (taken) {
    throw new GfsError("Conflict", `Another file was renamed away from ${path} meanwhile; send the write again.`, {
      op: "coordinator.put",
    });
  }
  parts.assertCatalogSpace();
  const landed = await commitAll(parts, ctx, path, writes, { sent: ready.version, previous: current });
  const nowMs = parts.clock.nowMs();
  const expect: Expectation =
    current?.version === undefined ? { kind: "absent" } : { kind: "version", id: current.version.id };
  try {
    const { committed, pendingSites } = await parts.inodes.transact((tx, nextInode) =>
      recordPut(tx, parts, { ready, landed, expect, nowMs, nextInode }),
    );
    if (parts.sites.list().length > writes.length || committed.orphans.length > 0) parts.mover.wake();
    return { meta: describeFile(path, committed.file), created: current?.version === undefined, pendingSites };
  } catch (error) {
    const { id: versionId, sizeBytes } = ready.version;
    await undo(parts, path, { versionId, sizeBytes, landed, doubtful: [], previous: current });
    throw error;
  }
}

/** Between the choice of keys and the lock somebody may have renamed a file away, leaving its object where this one should go. */
function* lookBeforeCommit(
  tx: Reader,
  { path, writes }: ReadyToCommit,
): Program<{ readonly current: FileRecord | undefined; readonly taken: boolean }> {
  const current = yield* findFile(tx, path);
  for (const { site, objectKey } of writes) {
    const owner = yield* findOwner(tx, site.name, objectKey);
    if (owner !== undefined && owner.inode !== current?.inode) return { current, taken: true };
  }
  return { current, taken: false };
}

interface Recording {
  readonly ready: ReadyToCommit;
  readonly landed: readonly Landed[];
  readonly expect: Expectation;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

function* recordPut(
  tx: Transaction,
  parts: Parts,
  { ready, landed, expect, nowMs, nextInode }: Recording,
): Program<{ committed: Committed; pendingSites: string[] }> {
  const { path, following } = ready;
  if (ready.holds !== undefined) yield* ready.holds(tx);
  const present = landed.map(({ site, objectKey, info }): Copy => ({
    site: site.name,
    key: objectKey,
    state: "present",
    etag: info.etag,
    changedMs: nowMs,
  }));
  const before = yield* findFile(tx, path);
  const targets = yield* chooseKeys(tx, { path, sites: following, owner: before, versionId: ready.version.id });
  const pending = targets.map(({ site, objectKey }): Copy => ({
    site: site.name,
    key: objectKey,
    state: "pending",
    changedMs: nowMs,
  }));
  const version: FileVersion = { ...ready.version, copies: [...present, ...pending] };
  // An import may have found the objects before the catalog knew them; they are this version all the same.
  const writtenAs = ready.writes[0]?.versionId;
  const found: Expectation =
    writtenAs !== undefined && before?.version?.id === writtenAs ? { kind: "version", id: writtenAs } : expect;
  const committed = yield* commitVersion(tx, {
    path,
    version,
    expect: found,
    nowMs,
    nextInode,
    ...(ready.copied === undefined ? {} : { copied: ready.copied }),
  });
  yield* afterCommit(tx, parts, { path, committed, nowMs });
  const { inode } = committed.file;
  const base = { path, inode, versionId: version.id, sizeBytes: version.sizeBytes };
  const limit = parts.settings.maxQueuedJobs;
  const pendingSites: string[] = [];
  for (const copy of pending) {
    const spec = { ...base, kind: "replicate" as const, site: copy.site, key: copy.key, priority: 10 };
    if (yield* enqueueJob(tx, spec, { id: parts.nextJobId(), nowMs, limit })) continue;
    yield* markUnqueued(tx, { path, inode, versionId: version.id, site: copy.site });
    pendingSites.push(copy.site);
  }
  yield* enqueueRelocations(tx, parts, { path, file: committed.file, nowMs });
  if (ready.also !== undefined) yield* ready.also(tx, committed);
  return { committed, pendingSites };
}
