import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { enqueueJob, type FoundOther } from "../../mover/index.ts";
import { type Copy, type FileRecord, type FileVersion, findByInode, findFile, setCopy } from "../../namespace/index.ts";
import { headIfThere, type ObjectInfo } from "../../stores/index.ts";
import { commitAdopted, enqueueCopies } from "./foreign.ts";
import { type Disagreement, judge } from "./judge.ts";
import type { Kit } from "../kit.ts";
import { enqueuePublishing } from "../copies/publishing.ts";
import { copyAside, recordSetAside, type SetAside } from "./set-aside.ts";
import { reportSetAside } from "./set-aside-space.ts";
import { isReadable } from "../copies/wanted.ts";

/**
 * A site does not hold what the catalog says. Either a write reached the site and its process died before the catalog knew,
 * or somebody replaced or removed the object with another tool, or the site lost it, or some of it.
 *
 * `changed`: the catalog has moved on; look again. `next`: this copy is out; read another one.
 */
export type Reconciled = "changed" | "next";

export async function reconcile(
  kit: Kit,
  ctx: Ctx,
  found: Disagreement,
  { byRepair = false }: { readonly byRepair?: boolean } = {},
): Promise<Reconciled> {
  assertWrites(kit);
  return await kit.locks.run(found.copy.key, async () => {
    const { holder } = found;
    const current = await kit.kv.view((tx) =>
      holder === undefined ? findFile(tx, found.path) : findByInode(tx, holder),
    );
    if (current?.version?.id !== found.version.id) return "changed";
    const copy = current.version.copies.find((each) => each.site === found.site.name);
    if (copy?.key !== found.copy.key || copy.etag !== found.copy.etag) return "changed";
    const info = await headIfThere(ctx, found.site.store, found.copy.key);
    if (info === undefined) return await takeOut(kit, current, found, { reason: GONE });
    if (info.etag === found.copy.etag) return "changed";
    // A write that failed left its bytes here, and a job brings the old ones back: until then other copies are read.
    if (!byRepair && (await isMending(kit, found))) return "next";
    return await settle(kit, ctx, { ...found, version: current.version }, { current, info });
  });
}

/** On behalf of a job, which has met the object. */
export async function settleOther(kit: Kit, ctx: Ctx, { path, inode, site }: FoundOther): Promise<void> {
  const file = await kit.kv.view((tx) => findByInode(tx, inode));
  const copy = file?.version?.copies.find((each) => each.site === site.name);
  if (file?.version === undefined || copy === undefined) return;
  const holder = file.linkCount === 0 ? { holder: inode } : {};
  await reconcile(kit, ctx, { path, version: file.version, copy, site, ...holder }, { byRepair: true });
}

/** What has to be decided is decided by the process that can write it down; a reader passes its request on to it. */
export function assertWrites(kit: Kit): void {
  if (kit.passOnCheck === undefined) return;
  throw new GfsError("ReadOnly", "This process only reads the catalog; the coordinator settles what sites hold.", {
    op: "coordinator.reconcile",
  });
}

async function isMending(kit: Kit, { path, site }: Disagreement): Promise<boolean> {
  const jobs = await kit.mover.jobsOf(path);
  return jobs.some(
    ({ kind, site: at, state }) =>
      kind === "repair" && at === site.name && (state === "waiting" || state === "running" || state === "paused"),
  );
}

const GONE = "The object is gone from the site; it was removed there or lost.";

interface Sides {
  readonly current: FileRecord;
  readonly info: ObjectInfo;
}

async function settle(kit: Kit, ctx: Ctx, found: Disagreement, { current, info }: Sides): Promise<Reconciled> {
  const { path, site } = found;
  const judgement = await judge(kit, ctx, found, info);
  kit.disagreements.add(1, { site: site.name, found: judgement.kind });
  if (judgement.kind === "same") return await keepAsItIs(kit, current, found, info);
  if (judgement.kind === "news") {
    const kept = await setVersionAside(kit, ctx, found, `${site.name} held ${judgement.reason}`);
    return await rollForward(kit, found, { info, kept });
  }
  const reason = `The site holds ${judgement.reason}.`;
  const kept = await copyAside(kit, ctx, {
    path,
    site,
    info,
    reason: `It lay at ${site.name}: ${judgement.reason}.`,
  });
  return await takeOut(kit, current, found, { reason, etag: info.etag, kept });
}

/** The bytes are right, only the site calls them otherwise by now. */
async function keepAsItIs(
  kit: Kit,
  current: FileRecord,
  { version, copy, site, path }: Disagreement,
  { etag }: ObjectInfo,
): Promise<Reconciled> {
  const nowMs = kit.clock.nowMs();
  const right: Copy = { site: site.name, key: copy.key, state: copy.state, etag, changedMs: nowMs };
  const { inode } = current;
  await kit.kv.transact((tx) => setCopy(tx, { inode, versionId: version.id, copy: right, over: copy, nowMs }));
  kit.log.info("copy_renamed", { path, site: site.name, etag });
  return "changed";
}

/** What is left of the version elsewhere is about to be replaced. One copy of it is enough. */
async function setVersionAside(
  kit: Kit,
  ctx: Ctx,
  { path, version, site }: Disagreement,
  reason: string,
): Promise<SetAside | undefined> {
  for (const copy of version.copies) {
    const other = kit.sites.find(copy.site);
    if (copy.site === site.name || !isReadable(copy) || other === undefined) continue;
    try {
      const info = await other.store.head(ctx, copy.key);
      if (info.etag !== copy.etag) continue;
      const kept = await copyAside(kit, ctx, { path, site: other, info, reason: `It was replaced: ${reason}.` });
      if (kept !== undefined) return kept;
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      kit.log.warn("object_not_set_aside", { path, site: other.name, error: toGfsError(error).message });
    }
  }
  return undefined;
}

interface News {
  readonly info: ObjectInfo;
  readonly kept: SetAside | undefined;
}

async function rollForward(kit: Kit, found: Disagreement, { info, kept }: News): Promise<Reconciled> {
  const { path, site } = found;
  const nowMs = kit.clock.nowMs();
  const versionId = kit.nextVersionId();
  const { queueIsFull } = kit.mover;
  const isKept = await kit.inodes.transact(function* (tx, nextInode): Program<boolean | undefined> {
    if (!(yield* isStill(tx, found))) return undefined;
    const file = yield* commitAdopted(tx, kit, { path, found: [{ site, info }], versionId, nowMs, nextInode });
    const recorded = kept !== undefined && (yield* recordSetAside(tx, kit, kept));
    yield* enqueueCopies(tx, kit, { file, path, nowMs, queueIsFull });
    yield* enqueuePublishing(tx, kit, { file, path, nowMs });
    return recorded;
  });
  if (isKept === undefined) return "changed";
  kit.mover.wake();
  if (kept !== undefined) await reportSetAside(kit);
  const version = info.metadata["globalfs-version"];
  kit.log.warn("site_object_taken_over", {
    path,
    site: site.name,
    version,
    ...(isKept ? { kept: kept?.versionId } : {}),
  });
  return "changed";
}

/** Nothing newer was written, and its bytes were not published elsewhere, since the object was looked at. */
function* isStill(tx: Reader, { path, version, copy, site, holder }: Disagreement): Program<boolean> {
  const file = holder === undefined ? yield* findFile(tx, path) : yield* findByInode(tx, holder);
  const now = file?.version?.copies.find((each) => each.site === site.name);
  return file?.version?.id === version.id && now?.key === copy.key && now.etag === copy.etag;
}

interface Out {
  /** One sentence. */
  readonly reason: string;
  /** Of what lies there instead. */
  readonly etag?: string;
  readonly kept?: SetAside | undefined;
}

/** The copy is not to be read any more; a job puts the committed bytes back when another copy has them. */
async function takeOut(
  kit: Kit,
  file: FileRecord,
  { path, copy: before, site }: Disagreement,
  { reason, etag, kept }: Out,
): Promise<Reconciled> {
  const version = file.version as FileVersion;
  const nowMs = kit.clock.nowMs();
  const isKept = await kit.kv.transact(function* (tx): Program<boolean | undefined> {
    // What is written before it is mended replaces it.
    const replaces = etag === undefined || before.home !== undefined ? {} : { replaces: etag };
    const copy: Copy = { site: site.name, key: before.key, state: "stale", changedMs: nowMs, reason, ...replaces };
    // It may have been published meanwhile: then it lies elsewhere.
    if (!(yield* setCopy(tx, { inode: file.inode, versionId: version.id, copy, over: before, nowMs })))
      return undefined;
    const recorded = kept !== undefined && (yield* recordSetAside(tx, kit, kept));
    yield* enqueueJob(
      tx,
      {
        kind: "repair",
        path,
        inode: file.inode,
        versionId: version.id,
        site: site.name,
        key: before.key,
        sizeBytes: version.sizeBytes,
        priority: 5,
        ...(etag === undefined ? {} : { etag }),
      },
      { id: kit.nextJobId(), nowMs },
    );
    return recorded;
  });
  if (isKept === undefined) return "changed";
  kit.mover.wake();
  if (kept !== undefined) await reportSetAside(kit);
  kit.log.warn("copy_out_of_step", { path, site: site.name, reason, ...(isKept ? { kept: kept?.versionId } : {}) });
  return "next";
}
