import type { Ctx } from "../../core/context.ts";
import { isGfsError, toGfsError } from "../../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE, type SiteName, type VersionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import { encodeKey, keyAfter, prefixRange, type Program, type Reader, tail, type Transaction } from "../../kv/index.ts";
import { etagOf, type FileRecord, SET_ASIDE_PREFIX, shownEtag, userMetadata } from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { enqueueRemoval } from "../copies/removal.ts";
import { bytesAt, maxSetAsideBytes, moveIn, moveOut, oldestAt, takenBy } from "./set-aside-space.ts";

/**
 * Whether an object at a site is damage or news can be decided wrongly. So the one that loses is kept for a while, under a key of its own at its site, and can
 * be read as a version of its path by its id.
 */
export interface SetAside {
  readonly path: FilePath;
  readonly versionId: VersionId;
  readonly site: SiteName;
  readonly key: string;
  readonly etag: string;
  readonly sizeBytes: number;
  readonly shownEtag: string;
  readonly modifiedMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly sha256?: string;
  /** One sentence. */
  readonly reason: string;
  readonly atMs: number;
}

const SPACE = "coordinator-set-aside";
/** By the object's own key, so that the sweep knows which of them somebody keeps. */
const BY_KEY = "coordinator-set-aside-key";
export const setAsideSpace = encodeKey(SPACE);
export const keySpace = encodeKey(BY_KEY);
export { SET_ASIDE_PREFIX };
const KEPT_OF_A_PATH = 4;
const RETENTION_MS = 30 * 86_400_000;
const ROWS_A_TURN = 500;
/** So many times at most some make room for a new one; what does not fit then is given up. */
const MOST_PAGES = 50;
const PUSHED_OUT_A_COMMIT = 10;
/** In the transaction that decides, when others have come since room was made. */
const PUSHED_OUT_AT_LAST = 1;
/** As much as one of them may take on its way out. */
const ROOM_FOR_ONE = { writes: 10, sizeBytes: 32 * 1024 };

export interface Loser {
  readonly path: FilePath;
  readonly site: Site;
  readonly info: ObjectInfo;
  readonly reason: string;
}

/** Copies it at its site. Undefined when that cannot be done: then there is no more to be had of it, and the log says so. */
export async function copyAside(kit: Kit, ctx: Ctx, loser: Loser): Promise<SetAside | undefined> {
  const { path, site, info, reason } = loser;
  const maxBytes = maxSetAsideBytes(kit);
  if (takenBy(info) > maxBytes) {
    const { sizeBytes } = info;
    kit.log.warn("object_not_set_aside", { path, site: site.name, reason, sizeBytes, maxBytes });
    return undefined;
  }
  const versionId = kit.nextVersionId();
  const key = `${SET_ASIDE_PREFIX}${versionId}`;
  try {
    const { sizeBytes } = info;
    const kept = await site.store.copy(ctx, info.key, key, { sourceIfMatch: info.etag });
    await makeRoom(kit, { site: site.name, sizeBytes });
    return {
      path,
      versionId,
      site: site.name,
      key,
      etag: kept.etag,
      sizeBytes,
      shownEtag: info.sha256 === undefined ? shownEtag(info) : etagOf(info.sha256),
      modifiedMs: info.modifiedMs,
      metadata: userMetadata(info.metadata),
      reason,
      atMs: kit.clock.nowMs(),
      ...(info.contentType === undefined ? {} : { contentType: info.contentType }),
      ...(info.sha256 === undefined ? {} : { sha256: info.sha256 }),
    };
  } catch (error) {
    if (isGfsError(error, "Canceled")) throw error;
    kit.log.error("object_not_set_aside", { path, site: site.name, reason, error: toGfsError(error).message });
    return undefined;
  }
}

/** Before the transaction that decides, as there may be many small ones. */
async function makeRoom(kit: Kit, wanted: Wanted): Promise<void> {
  const nowMs = kit.clock.nowMs();
  for (let page = 0; page < MOST_PAGES; page++)
    if (await kit.kv.transact((tx) => pushOut(tx, kit, { ...wanted, nowMs, most: PUSHED_OUT_A_COMMIT }))) return;
}

/**
 * In the transaction that decides. Of a path that loses again and again only the newest stay, and of a site what there is room for. False when so many small
 * ones would have to make room that the new one is given up.
 */
export function* recordSetAside(tx: Transaction, kit: ProgramKit, kept: SetAside): Program<boolean> {
  const older = yield* listSetAside(tx, kept.path);
  if (older.length >= KEPT_OF_A_PATH) yield* drop(tx, kit, older[0] as SetAside, kept.atMs);
  if (!(yield* pushOut(tx, kit, { ...kept, nowMs: kept.atMs, most: PUSHED_OUT_AT_LAST }))) {
    yield* removeObject(tx, kit, kept, kept.atMs);
    return false;
  }
  tx.put(setAsideKey(kept), Buffer.from(JSON.stringify(kept)));
  tx.put(keyRow(kept.key), Buffer.alloc(0));
  yield* moveIn(tx, kept);
  return true;
}

interface Wanted {
  readonly site: SiteName;
  readonly sizeBytes: number;
}

/** The oldest at the site go; resolves with whether there is room now. */
function* pushOut(
  tx: Transaction,
  kit: ProgramKit,
  wanted: Wanted & { readonly most: number; readonly nowMs: number },
): Program<boolean> {
  const { site, most, nowMs } = wanted;
  const maxBytes = maxSetAsideBytes(kit);
  const fits = function* (): Program<boolean> {
    return (yield* bytesAt(tx, site)) + takenBy(wanted) <= maxBytes;
  };
  if (yield* fits()) return true;
  for (const { path, versionId } of yield* oldestAt(tx, site, most)) {
    if (!tx.hasRoom(ROOM_FOR_ONE)) return false;
    const row = yield* tx.get(setAsideKey({ path, versionId }));
    if (row !== undefined) yield* drop(tx, kit, decodeSetAside(row), nowMs);
    if (yield* fits()) return true;
  }
  return false;
}

export function* isSetAside(tx: Reader, key: string): Program<boolean> {
  return (yield* tx.get(keyRow(key))) !== undefined;
}

export function keyRow(key: string): Uint8Array {
  return encodeKey(BY_KEY, tail(key));
}

export function setAsideKey({ path, versionId }: Pick<SetAside, "path" | "versionId">): Uint8Array {
  return encodeKey(SPACE, path, tail(versionId));
}

function* drop(tx: Transaction, kit: ProgramKit, row: SetAside, nowMs: number): Program<void> {
  tx.delete(setAsideKey(row));
  tx.delete(keyRow(row.key));
  yield* moveOut(tx, row);
  yield* removeObject(tx, kit, row, nowMs);
}

function* removeObject(tx: Transaction, kit: ProgramKit, row: SetAside, nowMs: number): Program<void> {
  const { path, versionId, site, key, etag } = row;
  const place = { site, key, etag };
  yield* enqueueRemoval(tx, kit, { path, inode: ROOT_INODE, versionId, place, nowMs });
}

/** The oldest first. */
export function* listSetAside(tx: Reader, path: FilePath): Program<SetAside[]> {
  const rows = yield* tx.range({ ...prefixRange(encodeKey(SPACE, path)), limit: 2 * KEPT_OF_A_PATH });
  return rows.map(({ value }) => decodeSetAside(value));
}

export function decodeSetAside(value: Uint8Array): SetAside {
  return JSON.parse(Buffer.from(value).toString()) as SetAside;
}

/** As a version of its path. */
export function* findSetAside(tx: Reader, path: FilePath, versionId: string): Program<FileRecord | undefined> {
  const row = yield* tx.get(setAsideKey({ path, versionId: versionId as VersionId }));
  if (row === undefined) return undefined;
  const kept = decodeSetAside(row);
  const { site, key, etag, sizeBytes, modifiedMs, metadata, contentType, sha256 } = kept;
  const modified = momentOf(modifiedMs);
  return {
    inode: 0 as Inode,
    kind: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    linkCount: 0,
    sizeBytes,
    accessed: modified,
    modified,
    changed: momentOf(kept.atMs),
    created: modified,
    version: {
      id: kept.versionId,
      sizeBytes,
      etag: kept.shownEtag,
      metadata,
      createdMs: modifiedMs,
      copies: [{ site, key, state: "foreign", etag, changedMs: kept.atMs }],
      details: { versioned: true },
      ...(contentType === undefined ? {} : { contentType }),
      ...(sha256 === undefined ? {} : { sha256 }),
    },
  };
}

/** Those whose time is over go; the leader looks at some of them now and then. Gives where the next turn begins. */
export async function forgetSetAside(kit: Kit, after?: Uint8Array): Promise<Uint8Array | undefined> {
  const nowMs = kit.clock.nowMs();
  const oldestKeptMs = nowMs - (kit.settings.setAsideRetentionMs ?? RETENTION_MS);
  const all = prefixRange(setAsideSpace);
  const rows = await kit.kv.view((tx) =>
    tx.range({ ...all, start: after === undefined ? all.start : keyAfter(after), limit: ROWS_A_TURN }),
  );
  const over = rows.map(({ value }) => decodeSetAside(value)).filter(({ atMs }) => atMs <= oldestKeptMs);
  for (const row of over) await kit.kv.transact((tx) => drop(tx, kit, row, nowMs));
  if (over.length > 0) kit.mover.wake();
  return rows.length < ROWS_A_TURN ? undefined : rows.at(-1)?.key;
}
