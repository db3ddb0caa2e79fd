import { GfsError } from "../../core/errors.ts";
import type { Ctx } from "../../core/context.ts";
import type { FilePath, Inode, JobId, VersionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { LANDING_MS, enqueueJob, markUnqueued } from "../../mover/index.ts";
import {
  commitVersion,
  directoryOf,
  type Committed,
  type Copy,
  type FileRecord,
  type FileVersion,
  findByInode,
  findFile,
  type KnownDirectory,
  pathOf,
  posix,
} from "../../namespace/index.ts";
import type { Publishing } from "../../placement/index.ts";
import type { Site } from "../../stores/index.ts";
import { afterCommit } from "../copies/after-commit.ts";
import { readCatalog } from "../catalog-view.ts";
import { findExposed, shelter } from "../copies/exposed.ts";
import { landAll, type Landed, type SiteWrite, undo } from "../copies/landing.ts";
import { chooseHome, chooseKeys } from "../copies/object-keys.ts";
import { enqueuePublishing, publishWhereItHangs } from "../copies/publishing.ts";
import { settleMoved } from "../foreign/moved.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import type { Conditions, PutResult } from "../service/service.ts";
import { checkWriteConditions, type Current } from "./conditions.ts";
import { describeFile } from "./object-meta.ts";

export interface Onto extends Pick<posix.Commit, "inode" | "expect" | "epoch" | "modified"> {}

export interface ReadyToCommit {
  readonly conditions: Conditions | undefined;
  /** Under which it was sent to the sites. */
  readonly path: FilePath;
  /** Whoever has it open writes: it becomes the content of this file, wherever that hangs by now. Absent: of whatever has the path. */
  readonly onto?: Onto;
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

/** The caller aborts the writes when this rejects. */
export async function commitWrite(kit: Kit, ctx: Ctx, ready: ReadyToCommit): Promise<PutResult> {
  const { file, created, pendingSites } = await commitContent(kit, ctx, ready);
  return { meta: describeFile(ready.path, file), created, pendingSites };
}

export interface WrittenContent extends Pick<PutResult, "created" | "pendingSites"> {
  readonly file: FileRecord;
}

/** The path's lock keeps the writers of one process from meeting each other's objects under the path; nothing rests on it. */
export async function commitContent(kit: Kit, ctx: Ctx, ready: ReadyToCommit): Promise<WrittenContent> {
  const { committed, pendingSites, created, taken } = await kit.locks.run(
    ready.path,
    async () => await landAndRecord(kit, ctx, ready),
  );
  if (leavesWork(kit, committed)) kit.mover.wake();
  await kit.mover.publishNow(ctx, taken);
  return { file: committed.file, created, pendingSites };
}

async function landAndRecord(kit: Kit, ctx: Ctx, ready: ReadyToCommit): Promise<Recorded> {
  const { path, writes, version } = ready;
  kit.assertCatalogSpace();
  await settleMoved(kit, ctx, path);
  if (ready.conditions !== undefined || ready.holds !== undefined)
    await readCatalog(kit.kv, (tx) => checkBefore(tx, ready));
  const versionId = versionIdOf(ready);
  return await kit.writer.landing(versionId, async () => {
    const startedMs = kit.clock.monotonicMs();
    const landed = await landAll(kit, ctx, { path, writes, sent: version });
    const made = [...landed];
    const record = async (): Promise<Recorded | Exposed> => {
      const nowMs = kit.clock.nowMs();
      if (kit.clock.monotonicMs() - startedMs > LANDING_MS) throw tookTooLong(path);
      const { queueIsFull, isBehind } = kit.mover;
      const publishesNow = isBehind || ready.publish === "before-ack";
      const known = kit.directories.of(path);
      return await kit.inodes.transact((tx, nextInode) =>
        recordWrite(tx, kit, { ready, landed, nowMs, nextInode, queueIsFull, publishesNow, known }),
      );
    };
    try {
      for (;;) {
        const recorded = await record();
        if (!("exposed" in recorded)) {
          kit.directories.learn(path, recorded.directory);
          return recorded;
        }
        for (const place of recorded.exposed) {
          const sheltered = await shelter(ctx, { path, versionId }, place);
          made.push(sheltered);
          landed[landed.indexOf(place)] = sheltered;
        }
      }
    } catch (error) {
      await undo(kit, path, { versionId, sizeBytes: version.sizeBytes, landed: made, doubtful: [] });
      throw error;
    }
  });
}

function tookTooLong(path: FilePath): GfsError {
  return new GfsError("Timeout", `The sites took too long to take ${path}, each of them its copy; send it again.`, {
    op: "coordinator.write",
  });
}

/** Which version the objects say they are. */
function versionIdOf({ writes, version }: ReadyToCommit): VersionId {
  return writes[0]?.versionId ?? version.id;
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
function* checkBefore(tx: Reader, ready: ReadyToCommit, known?: KnownDirectory): Program<void> {
  if (ready.holds !== undefined) yield* ready.holds(tx);
  if (ready.conditions !== undefined)
    checkWriteConditions(ready.conditions, otherThan(ready, yield* findFile(tx, ready.path, known)));
}

/** What the path has, for conditions. An import may have found what an earlier attempt of this very write left at a site: that is nothing. */
function otherThan({ writes }: ReadyToCommit, file: FileRecord | undefined): Current | undefined {
  const version = file?.version;
  if (version === undefined || version.id === writes[0]?.versionId) return undefined;
  return { etag: version.etag, modifiedMs: version.createdMs };
}

interface Recording {
  readonly ready: ReadyToCommit;
  readonly landed: readonly Landed[];
  readonly nowMs: number;
  readonly nextInode: () => Inode;
  readonly queueIsFull: boolean;
  readonly publishesNow: boolean;
  readonly known: KnownDirectory | undefined;
}

interface Recorded {
  readonly committed: Committed;
  readonly pendingSites: readonly string[];
  readonly created: boolean;
  /** The jobs that publish it, where this request does their work. */
  readonly taken: readonly JobId[];
  /** Of the path. */
  readonly directory: KnownDirectory | undefined;
}

/** Nothing was recorded: these objects have to get another key first. */
interface Exposed {
  readonly exposed: readonly Landed[];
}

function* recordWrite(
  tx: Transaction,
  kit: ProgramKit,
  { ready, landed, nowMs, nextInode, queueIsFull, publishesNow, known }: Recording,
): Program<Recorded | Exposed> {
  kit.writer.fence(tx, versionIdOf(ready));
  yield* checkBefore(tx, ready, known);
  const exposed = yield* findExposed(tx, { path: ready.path, versionId: versionIdOf(ready), landed });
  if (exposed.length > 0) return { exposed };
  const goal = yield* goalOf(tx, kit, ready, known);
  const { path, file } = goal;
  const copies: Copy[] = [];
  for (const place of landed) {
    const { site, objectKey: key, info } = place;
    const { publish } = goal;
    const home = goal.named ? yield* chooseHome(tx, { ...place, path, file, publish, writer: kit.writer }) : {};
    copies.push({ site: site.name, key, state: "present", etag: info.etag, changedMs: nowMs, ...home });
  }
  const sites = goal.following.filter((site) => copies.every((copy) => copy.site !== site.name));
  const targets = yield* chooseKeys(tx, { path, sites, inode: file?.inode, versionId: ready.version.id });
  const pending = targets.map(({ site, objectKey }): Copy => ({
    site: site.name,
    key: objectKey,
    state: "pending",
    changedMs: nowMs,
  }));
  const version: FileVersion = { ...ready.version, copies: [...copies, ...pending] };
  const committed = yield* commitTo(tx, ready, { path, version, nowMs, nextInode, known });
  yield* afterCommit(tx, kit, { path, committed, nowMs });
  const pendingSites = yield* enqueueReplication(tx, kit, { path, committed, nowMs, queueIsFull });
  const order = { path, file: committed.file, nowMs, now: publishesNow };
  const jobs = goal.named ? yield* enqueuePublishing(tx, kit, order) : [];
  if (committed.left !== undefined) yield* publishWhereItHangs(tx, kit, { inode: committed.left.inode, nowMs });
  if (ready.also !== undefined) yield* ready.also(tx, committed);
  const directory = ready.onto === undefined ? yield* directoryOf(tx, committed.file) : undefined;
  return { committed, pendingSites, created: goal.created, taken: publishesNow ? jobs : [], directory };
}

/** What the version becomes the content of. */
interface Goal extends Pick<ReadyToCommit, "path" | "following" | "publish"> {
  readonly created: boolean;
  /** The file that keeps its inode; undefined: there will be a new one. */
  readonly file: FileRecord | undefined;
  /** Something leads to it. */
  readonly named: boolean;
}

function* goalOf(tx: Reader, kit: ProgramKit, ready: ReadyToCommit, known: KnownDirectory | undefined): Program<Goal> {
  const { path, onto, following, publish } = ready;
  if (onto === undefined) {
    const named = yield* findFile(tx, path, known);
    const created = otherThan(ready, named) === undefined;
    // Of several names this one leads to a file of its own from now on.
    const file = named !== undefined && named.linkCount > 1 ? undefined : named;
    return { path, following, publish, created, file, named: true };
  }
  const file = yield* findByInode(tx, onto.inode);
  const created = file?.version === undefined;
  // What has no name goes when it is closed: nobody carries it further.
  if (file === undefined || file.linkCount === 0)
    return { path, following: [], publish: "never", created, file, named: false };
  const now = (yield* pathOf(tx, onto.inode)) as FilePath;
  if (now === path) return { path, following, publish, created, file, named: true };
  // It was renamed since: the sites that the new name asks for get it by jobs.
  const plan = kit.router.planWrite(now);
  const wanted = [...plan.required, ...plan.following];
  return { path: now, following: wanted, publish: plan.publish, created, file, named: true };
}

interface Commit {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
  readonly known: KnownDirectory | undefined;
}

function* commitTo(
  tx: Transaction,
  { onto, copied }: ReadyToCommit,
  { path, version, nowMs, nextInode, known }: Commit,
): Program<Committed> {
  if (onto !== undefined) return yield* posix.commit(tx, { ...onto, version, now: momentOf(nowMs), nextInode });
  return yield* commitVersion(tx, {
    path,
    version,
    expect: { kind: "any" },
    nowMs,
    nextInode,
    known,
    ...(copied === undefined ? {} : { copied }),
  });
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
