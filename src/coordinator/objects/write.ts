import type { Ctx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath, Inode, JobId } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { enqueueJob, markUnqueued } from "../../mover/index.ts";
import {
  commitVersion,
  type Committed,
  type ContentChecksum,
  type Copy,
  etagOf,
  type FileRecord,
  type FileVersion,
  findFile,
  keptBlocks,
  makeDirectory,
  noObjectLock,
  rulesOf,
  type VersionDetails,
} from "../../namespace/index.ts";
import type { Publishing } from "../../placement/index.ts";
import type { Site } from "../../stores/index.ts";
import { afterCommit } from "../copies/after-commit.ts";
import { type BodyDigest, createBodyDigest } from "./body-digest.ts";
import { readCatalog } from "../catalog-view.ts";
import { checkWriteConditions } from "./conditions.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { type Located, locate } from "../foreign/lookup.ts";
import { abortAll, atSite, landAll, type Landed, type SiteWrite, stageAll, undo } from "../copies/landing.ts";
import {
  chooseHome,
  chooseKeys,
  chooseLandings,
  type KeyChoice,
  lookAhead,
  type Target,
} from "../copies/object-keys.ts";
import { checkUserMetadata, describeFile, lateMetadata, storedMetadata } from "./object-meta.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { enqueuePublishing, publishWhereItHangs } from "../copies/publishing.ts";
import type { Conditions, PutRequest, PutResult } from "../service/service.ts";

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/**
 * Streams the body to all required sites at once, to keys where nothing lies; then one transaction makes it the file's, with the jobs for the other sites
 * and those that publish it. Before that nothing has happened: the old version stands, and its bytes lie where they lay.
 */
export async function putObject(kit: Kit, ctx: Ctx, request: PutRequest): Promise<PutResult> {
  const where = locate(request.key);
  kit.assertCatalogSpace();
  checkUserMetadata(request.metadata ?? {});
  if (request.sizeBytes !== undefined && request.sizeBytes > kit.settings.maxObjectBytes) throw tooLarge(kit);
  if (where.directory) return await putDirectory(kit, request, where);
  return await putFile(kit, ctx, request, where.path);
}

function tooLarge(kit: Kit): GfsError {
  return new GfsError(
    "TooLarge",
    `An object may have ${kit.settings.maxObjectBytes} bytes; limits.max_object_bytes sets it.`,
  );
}

async function putDirectory(kit: Kit, request: PutRequest, where: Located): Promise<PutResult> {
  for await (const chunk of request.body) {
    if (chunk.byteLength > 0) {
      throw new GfsError(
        "InvalidKey",
        `${where.key} names a directory, which holds no bytes; leave out the trailing slash to store an object.`,
      );
    }
  }
  const nowMs = kit.clock.nowMs();
  const file = await kit.inodes.transact((tx, nextInode) =>
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

async function putFile(kit: Kit, ctx: Ctx, request: PutRequest, path: FilePath): Promise<PutResult> {
  const plan = kit.router.planWrite(path);
  if (plan.required.length === 0) {
    throw new GfsError(
      "Unavailable",
      `No site takes writes for ${path}; add a primary site or change the rule ${plan.rule ?? "order"}.`,
    );
  }
  const versionId = kit.nextVersionId();
  const look = async (): Promise<Look> =>
    await readCatalog(kit.kv, (tx) => lookBefore(tx, request, { path, sites: plan.required, versionId }));
  let seen = await look();
  // A condition needs to know what the sites have; an unconditional write replaces it whatever it is.
  if (seen.file === undefined && request.conditions !== undefined) {
    await adoptFromSites(kit, ctx, path);
    seen = await look();
  }
  checkWriteConditions(request.conditions, currentOf(seen.file));
  const createdMs = kit.clock.nowMs();
  const sizeBytes = request.sizeBytes ?? Number.POSITIVE_INFINITY;
  const targets = await lookAhead(ctx, seen.targets, {
    path,
    versionId,
    isMovable: ({ store }) => sizeBytes <= store.capabilities.movableBytes,
  });
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
    await streamBody(kit, request, writes, digest);
    const { sha256, md5, crc32c, blocks } = await digest.finish();
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
      ...keptBlocks(blocks, checksum),
    };
    const ready = { conditions: request.conditions, path, writes, version, ...plan };
    return await commitWrite(kit, ctx, ready);
  } catch (error) {
    digest.abandon();
    await abortAll(writes);
    throw toGfsError(error, "coordinator.put");
  }
}

interface Look {
  readonly file: FileRecord | undefined;
  readonly targets: readonly Target[];
}

/** Before the body comes in. */
function* lookBefore(tx: Reader, { labels }: PutRequest, choice: Omit<KeyChoice, "inode">): Program<Look> {
  const file = yield* findFile(tx, choice.path);
  if (labels?.lock !== undefined && !(yield* rulesOf(tx, choice.path)).objectLock) throw noObjectLock();
  return { file, targets: yield* chooseLandings(tx, { ...choice, inode: file?.inode }) };
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
  kit: Kit,
  request: PutRequest,
  writes: readonly SiteWrite[],
  digest: BodyDigest,
): Promise<void> {
  const { maxObjectBytes } = kit.settings;
  for await (const chunk of request.body) {
    const room = digest.update(chunk);
    if (digest.sizeBytes > maxObjectBytes) throw tooLarge(kit);
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
  readonly publish: Publishing;
  /** Its content came from another object. */
  readonly copied?: boolean;
  /** Throws where the commit must not happen any more; asked in its transaction, before anything is written. */
  readonly holds?: (tx: Reader) => Program<void>;
  /** Rows that belong to the same commit. */
  readonly also?: (tx: Transaction, committed: Committed) => Program<void>;
}

/**
 * The caller aborts the writes when this rejects. The path's lock keeps the writers of one process from meeting each other's objects under the path; nothing
 * rests on it.
 */
export async function commitWrite(kit: Kit, ctx: Ctx, ready: ReadyToCommit): Promise<PutResult> {
  const { path, publish } = ready;
  const { committed, pendingSites, created, publishing } = await kit.locks.run(
    path,
    async () => await landAndRecord(kit, ctx, ready),
  );
  if (leavesWork(kit, committed)) kit.mover.wake();
  if (publish === "before-ack") await kit.mover.publishNow(ctx, publishing);
  return { meta: describeFile(path, committed.file), created, pendingSites };
}

async function landAndRecord(kit: Kit, ctx: Ctx, ready: ReadyToCommit): Promise<Recorded> {
  const { path, writes, version } = ready;
  kit.assertCatalogSpace();
  if (ready.conditions !== undefined || ready.holds !== undefined)
    await readCatalog(kit.kv, (tx) => checkBefore(tx, ready));
  const landed = await landAll(kit, ctx, { path, writes, sent: version });
  const nowMs = kit.clock.nowMs();
  const { queueIsFull } = kit.mover;
  try {
    return await kit.inodes.transact((tx, nextInode) =>
      recordWrite(tx, kit, { ready, landed, nowMs, nextInode, queueIsFull }),
    );
  } catch (error) {
    const versionId = writes[0]?.versionId ?? version.id;
    await undo(kit, path, { versionId, sizeBytes: version.sizeBytes, landed, doubtful: [] });
    throw error;
  }
}

/** Jobs that somebody should take up now. */
function leavesWork(kit: Kit, { file, orphans, left }: Committed): boolean {
  const copies = file.version?.copies ?? [];
  return (
    kit.sites.list().length > copies.length ||
    orphans.length > 0 ||
    left !== undefined ||
    copies.some(({ home, state }) => home !== undefined || state === "pending")
  );
}

/** What will not hold in the transaction either is said before anything lands. */
function* checkBefore(tx: Reader, ready: ReadyToCommit): Program<void> {
  if (ready.holds !== undefined) yield* ready.holds(tx);
  checkWriteConditions(ready.conditions, currentOf(yield* findOther(tx, ready)));
}

/** The file that has the path. An import may have found what an earlier attempt of this very write left at a site: that is none. */
function* findOther(tx: Reader, { path, writes }: ReadyToCommit): Program<FileRecord | undefined> {
  const file = yield* findFile(tx, path);
  return file?.version !== undefined && file.version.id === writes[0]?.versionId ? undefined : file;
}

interface Recording {
  readonly ready: ReadyToCommit;
  readonly landed: readonly Landed[];
  readonly nowMs: number;
  readonly nextInode: () => Inode;
  readonly queueIsFull: boolean;
}

interface Recorded {
  readonly committed: Committed;
  readonly pendingSites: readonly string[];
  readonly created: boolean;
  /** The jobs that publish it. */
  readonly publishing: readonly JobId[];
}

function* recordWrite(
  tx: Transaction,
  kit: ProgramKit,
  { ready, landed, nowMs, nextInode, queueIsFull }: Recording,
): Program<Recorded> {
  const { path, following } = ready;
  yield* checkBefore(tx, ready);
  const created = (yield* findOther(tx, ready))?.version === undefined;
  const named = yield* findFile(tx, path);
  // Of several names this one leads to a file of its own from now on.
  const file = named !== undefined && named.linkCount > 1 ? undefined : named;
  const copies: Copy[] = [];
  for (const place of landed) {
    const { site, objectKey: key, info } = place;
    const home = yield* chooseHome(tx, { ...place, path, file, publish: ready.publish });
    copies.push({ site: site.name, key, state: "present", etag: info.etag, changedMs: nowMs, ...home });
  }
  const targets = yield* chooseKeys(tx, { path, sites: following, inode: file?.inode, versionId: ready.version.id });
  const pending = targets.map(({ site, objectKey }): Copy => ({
    site: site.name,
    key: objectKey,
    state: "pending",
    changedMs: nowMs,
  }));
  const version: FileVersion = { ...ready.version, copies: [...copies, ...pending] };
  const committed = yield* commitVersion(tx, {
    path,
    version,
    expect: { kind: "any" },
    nowMs,
    nextInode,
    ...(ready.copied === undefined ? {} : { copied: ready.copied }),
  });
  yield* afterCommit(tx, kit, { path, committed, nowMs });
  const pendingSites = yield* enqueueReplication(tx, kit, { path, committed, nowMs, queueIsFull });
  const publishing = yield* enqueuePublishing(tx, kit, { path, file: committed.file, nowMs });
  if (committed.left !== undefined) yield* publishWhereItHangs(tx, kit, { inode: committed.left.inode, nowMs });
  if (ready.also !== undefined) yield* ready.also(tx, committed);
  return { committed, pendingSites, created, publishing };
}

interface Replication {
  readonly path: FilePath;
  readonly committed: Committed;
  readonly nowMs: number;
  readonly queueIsFull: boolean;
}

/** Resolves with the sites that the full queue had no room for. */
function* enqueueReplication(
  tx: Transaction,
  kit: ProgramKit,
  { path, committed, nowMs, queueIsFull }: Replication,
): Program<readonly string[]> {
  const { inode } = committed.file;
  const version = committed.file.version as FileVersion;
  const pendingSites: string[] = [];
  for (const { site, key, state } of version.copies) {
    if (state !== "pending") continue;
    const place = { path, inode, versionId: version.id, site };
    const spec = { ...place, kind: "replicate" as const, key, sizeBytes: version.sizeBytes, priority: 10 };
    if (yield* enqueueJob(tx, spec, { id: kit.nextJobId(), nowMs, queueIsFull })) continue;
    yield* markUnqueued(tx, place);
    pendingSites.push(site);
  }
  return pendingSites;
}
