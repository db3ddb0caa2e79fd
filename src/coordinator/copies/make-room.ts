import type { Ctx } from "../../core/context.ts";
import type { FilePath, Inode, JobId, VersionId } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import {
  commitVersion,
  type Copy,
  type FileRecord,
  findByInode,
  findFile,
  findOwner,
  findTombstone,
  isBuried,
  pathOf,
  setCopy,
  versionOf,
} from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { landedKey } from "./object-keys.ts";
import { publishWhereItHangs } from "./publishing.ts";
import { enqueueRemoval } from "./removal.ts";

/**
 * An upload in parts keeps the key that it was begun for, and somebody has put an object there meanwhile. That object steps aside: the site copies it to a key that
 * nobody else has, and the catalog says that its file's bytes are there. Then the upload may be completed over it: whatever comes of that, the file has its bytes.
 */

export interface Neighbour {
  readonly site: Site;
  readonly path: FilePath;
  /** What lies there. */
  readonly occupant: ObjectInfo;
}

/** What the stepping aside leaves: the job that brings the object back, which nobody runs before it is left to the mover. */
export type SteppedAside = { readonly back: readonly JobId[] };

/** Undefined when it cannot be said whose the object is, or will be in a moment. */
export async function stepAside(kit: Kit, ctx: Ctx, neighbour: Neighbour): Promise<SteppedAside | undefined> {
  const { site, path, occupant } = neighbour;
  const whose = await kit.kv.view((tx) => lookAt(tx, kit, neighbour));
  if (whose === "unclear") return undefined;
  if (whose === "nobody's") return { back: [] };
  const versionId = kit.nextVersionId();
  const key = landedKey(path, versionId);
  const { etag } = await site.store.copy(ctx, path, key, { sourceIfMatch: occupant.etag });
  const nowMs = kit.clock.nowMs();
  const back = await kit.inodes.transact((tx, nextInode) =>
    recordAside(tx, kit, { ...neighbour, aside: { key, etag }, versionId, nowMs, nextInode }),
  );
  if (back === undefined) await site.store.delete(ctx, key, { ifMatch: etag });
  return back === undefined ? undefined : { back };
}

/** `nobody's`: the bytes of no file, now or later. A file that is published there has its own elsewhere until then. */
type Whose = "nobody's" | "a file's" | "another tool's" | "unclear";

function* lookAt(tx: Reader, kit: ProgramKit, at: Neighbour): Program<Whose> {
  const { site, path, occupant } = at;
  const owner = yield* findOwner(tx, site.name, path);
  if (owner !== undefined) {
    const copy = copyAt(yield* findByInode(tx, owner.inode), site);
    // Also where they have stepped aside before: a job may be about to bring the very same bytes back, and is not to be met there.
    if (copy?.etag === occupant.etag) return "a file's";
    return copy?.key !== path && copy?.replaces === occupant.etag ? "nobody's" : "unclear";
  }
  const versionId = occupant.metadata["globalfs-version"];
  if (versionId !== undefined && (yield* kit.writer.isInFlight(tx, { key: path, versionId }))) return "unclear";
  if (isBuried(yield* findTombstone(tx, path), occupant)) return "nobody's";
  return site.foreign === "ignore" || (yield* findFile(tx, path)) !== undefined ? "unclear" : "another tool's";
}

function copyAt(file: FileRecord | undefined, site: Site): Copy | undefined {
  return file?.version?.copies.find((copy) => copy.site === site.name);
}

interface Aside extends Neighbour {
  readonly aside: { readonly key: string; readonly etag: string };
  /** Of an object that is taken in. */
  readonly versionId: VersionId;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

function* recordAside(tx: Transaction, kit: ProgramKit, order: Aside): Program<readonly JobId[] | undefined> {
  const { site, path, occupant, aside, nowMs } = order;
  const whose = yield* lookAt(tx, kit, order);
  if (whose !== "a file's" && whose !== "another tool's") return undefined;
  const mayPublish = kit.router.planWrite(path).publish !== "never";
  const home = mayPublish ? { home: path } : {};
  if (whose === "another tool's") {
    const copy: Copy = { site: site.name, ...aside, state: "foreign", changedMs: nowMs, ...home };
    const version = versionOf(occupant, [copy], order.versionId);
    const { nextInode } = order;
    const taken = { path, version, expect: { kind: "any" as const }, nowMs, found: true, nextInode };
    const { file } = yield* commitVersion(tx, taken);
    return mayPublish ? [yield* orderBack(tx, kit, order, file)] : [];
  }
  const { inode } = (yield* findOwner(tx, site.name, path)) as { readonly inode: Inode };
  const file = (yield* findByInode(tx, inode)) as FileRecord;
  const isHere = file.linkCount > 0 && (yield* pathOf(tx, inode)) === path;
  const { home: _home, replaces: _replaces, ...before } = copyAt(file, site) as Copy;
  const copy: Copy = { ...before, ...aside, changedMs: nowMs, ...(isHere ? home : {}) };
  const versionId = file.version?.id as VersionId;
  yield* setCopy(tx, { inode, versionId, copy, nowMs });
  if (before.key !== path) {
    const place = { site: site.name, key: before.key, etag: occupant.etag };
    yield* enqueueRemoval(tx, kit, { path, inode, versionId, place, nowMs });
  }
  if (isHere) return mayPublish ? [yield* orderBack(tx, kit, order, file)] : [];
  // It is called otherwise by now, and on its way from here.
  yield* publishWhereItHangs(tx, kit, { inode, nowMs });
  return [];
}

/** Should the upload come to nothing, or this process die. */
function* orderBack(
  tx: Transaction,
  kit: ProgramKit,
  { site, path, aside, nowMs }: Aside,
  { inode, version }: FileRecord,
): Program<JobId> {
  const id = kit.nextJobId();
  const place = { path, inode, versionId: version?.id as VersionId, site: site.name, key: aside.key };
  const spec = { ...place, kind: "publish" as const, sizeBytes: version?.sizeBytes ?? 0, priority: 20 };
  yield* enqueueJob(tx, { ...spec, takenBy: kit.writer.tag }, { id, nowMs });
  return id;
}
