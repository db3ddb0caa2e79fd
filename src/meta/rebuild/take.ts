import { forEachBounded } from "../../core/async/for-each.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import {
  afterPrefix,
  type Key,
  keyAfter,
  type Kv,
  type KvEntry,
  type Program,
  type Transaction,
} from "../../kv/index.ts";
import {
  bucketOf,
  type Copy,
  createInodeAllocator,
  findByInode,
  findOwner,
  findStoredBucket,
  type FileVersion,
  makeDirectory,
  type ObjectPlace,
  parseKey,
  type Restored,
  type RestoreVersion,
  restoreVersion,
  versionOf,
  VERSIONS_PREFIX,
  writeBucket,
} from "../../namespace/index.ts";
import type { ObjectInfo } from "../../stores/index.ts";
import {
  decodeObject,
  type FoundPlace,
  foundSpace,
  LOST,
  lostPath,
  objectKey,
  readFoundKey,
  writtenId,
} from "./found-rows.ts";

/** From what was found to files: path by path, the oldest version first, all sites of a version together. */

export type Taken = Record<Restored | "directories", number>;

interface Group {
  readonly path: string;
  readonly objects: readonly { readonly site: SiteName; readonly info: ObjectInfo }[];
}

const ROWS_A_PAGE = 500;
const GROUPS_A_COMMIT = 8;
const COMMITS_AT_ONCE = 16;
const ROOM_FOR_ONE = { writes: 40, sizeBytes: 128 * 1024 };

export interface TakeOptions {
  /** With the time that it begins with. */
  readonly versionIdAt: (atMs: number) => VersionId;
  readonly nowMs: number;
  readonly onGroups?: (count: number) => void;
  readonly signal?: AbortSignal;
}

export async function takeFound(kv: Kv, options: TakeOptions): Promise<Taken> {
  const inodes = createInodeAllocator(kv);
  const taken: Taken = { known: 0, copy: 0, file: 0, lost: 0, directories: 0 };
  // Commits that arrive together share a flush; each has paths of its own, so that it does not matter which is first.
  await forEachBounded(groupsOf(kv), COMMITS_AT_ONCE, async (groups) => {
    for (let left = groups; left.length > 0;) {
      if (options.signal?.aborted === true) throw new GfsError("Canceled", "The rebuild was stopped; it can go on.");
      const some = left;
      const outcomes = await inodes.transact(function* (tx, nextInode): Program<(Restored | "directories")[]> {
        const done: (Restored | "directories")[] = [];
        for (const group of some) {
          if (done.length > 0 && !tx.hasRoom(ROOM_FOR_ONE)) break;
          done.push(yield* takeGroup(tx, group, { ...options, nextInode }));
        }
        return done;
      });
      for (const outcome of outcomes) taken[outcome] += 1;
      left = some.slice(outcomes.length);
      options.onGroups?.(outcomes.length);
    }
  });
  return taken;
}

type Taker = TakeOptions & Pick<Parameters<typeof restoreVersion>[1], "nextInode">;

function* takeGroup(
  tx: Transaction,
  { path, objects }: Group,
  { nowMs, nextInode, versionIdAt }: Taker,
): Program<Restored | "directories"> {
  const first = objects[0] as Group["objects"][number];
  if (path.endsWith("/")) {
    const made = { mode: 0o755, uid: 0, gid: 0, parents: true, existing: "keep" as const };
    const createdMs = first.info.modifiedMs;
    yield* makeDirectory(tx, { ...made, path: parseKey(path).path, nowMs: createdMs, nextInode });
    return "directories";
  }
  yield* keepVersions(tx, { path, objects }, { nowMs, nextInode });
  const same = objects.filter(({ info }) => isSame(first.info, info));
  const take = { nowMs, nextInode, versionIdAt };
  const outcome = yield* takeVersion(tx, { path, objects: same }, take);
  // What says that it is the same version and has other bytes is damaged, or is not what it says.
  for (const other of objects.filter((each) => !same.includes(each))) {
    const { metadata: _, ...info } = other.info;
    const id = yield* ownedVersion(tx, other);
    const lost = lostPath(other.site, `${id ?? versionIdAt(info.modifiedMs)}-${nameOf(path)}`);
    yield* takeVersion(tx, { path: lost, objects: [{ site: other.site, info: { ...info, metadata: {} } }] }, take);
  }
  return outcome;
}

function* takeVersion(
  tx: Transaction,
  { path, objects }: Group,
  { nowMs, nextInode, versionIdAt }: Pick<Taker, "nowMs" | "nextInode" | "versionIdAt">,
): Program<Restored> {
  const first = objects[0] as Group["objects"][number];
  // An object that carries no id has the one that the catalog gave it when it was taken in.
  let id = writtenId(first.info) as VersionId | undefined;
  for (const object of objects) id ??= yield* ownedVersion(tx, object);
  return yield* restoreVersion(tx, {
    path: path as FilePath,
    version: versionFrom(objects, nowMs, id ?? versionIdAt(first.info.modifiedMs)),
    attributes: attributesFrom(first.info.metadata),
    nextInode,
    lostPath: (lost) => lostPath(lost.copies[0]?.site ?? "unknown", `${lost.id}-${nameOf(path)}`) as FilePath,
    isThere,
  });
}

/** Only a bucket that keeps versions gives them keys of their own. What else it was told is in a backup only. */
function* keepVersions(
  tx: Transaction,
  { path, objects }: Group,
  { nowMs, nextInode }: Pick<Taker, "nowMs" | "nextInode">,
): Program<void> {
  const bucket = bucketOf(path);
  if (
    bucket === undefined ||
    path.startsWith(LOST) ||
    !objects.some(({ info }) => info.key.startsWith(VERSIONS_PREFIX))
  )
    return;
  if ((yield* findStoredBucket(tx, bucket))?.hasRow === true) return;
  const settings = { name: bucket, createdMs: nowMs, versioning: "enabled" as const, objectLock: false, lifecycle: [] };
  yield* writeBucket(tx, { settings, documents: {}, nowMs, nextInode });
}

/** Which version the catalog has there, if it is this very object. */
function* ownedVersion(tx: Transaction, { site, info }: Group["objects"][number]): Program<VersionId | undefined> {
  const owner = yield* findOwner(tx, site, info.key);
  if (owner === undefined) return undefined;
  const version = (yield* findByInode(tx, owner.inode))?.version;
  return version?.copies.some((copy) => copy.site === site && copy.key === info.key && copy.etag === info.etag) === true
    ? version.id
    : undefined;
}

function nameOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return Buffer.byteLength(name) > 200 ? "object" : name;
}

function* isThere(tx: Transaction, { site, key, etag }: ObjectPlace): Program<boolean> {
  const row = yield* tx.get(objectKey(site, key));
  return row !== undefined && (etag === undefined || decodeObject(key, row).etag === etag);
}

/** Whose the file was when the object was written, or brought to where it is. */
function attributesFrom(metadata: ObjectInfo["metadata"]): NonNullable<RestoreVersion["attributes"]> {
  const mode = Number.parseInt(metadata["globalfs-mode"] ?? "", 8);
  const [uid = Number.NaN, gid = Number.NaN] = (metadata["globalfs-ids"] ?? "").split(":").map(Number);
  return {
    ...(Number.isNaN(mode) ? {} : { mode: mode & 0o7777 }),
    ...(Number.isSafeInteger(uid) && Number.isSafeInteger(gid) ? { uid, gid } : {}),
  };
}

function versionFrom(objects: Group["objects"], nowMs: number, id: VersionId): FileVersion {
  const { info } = objects[0] as Group["objects"][number];
  const state = writtenId(info) === undefined ? "foreign" : "present";
  const copies = objects.map(({ site, info: { key, etag } }): Copy => ({ site, key, state, etag, changedMs: nowMs }));
  const bySite = copies.filter((copy, index) => copies.findIndex(({ site }) => site === copy.site) === index);
  const createdMs = Number(info.metadata["globalfs-mtime"] ?? Number.NaN);
  return { ...versionOf(info, bySite, id), id, ...(Number.isSafeInteger(createdMs) ? { createdMs } : {}) };
}

function isSame(one: ObjectInfo, other: ObjectInfo): boolean {
  if (one.sizeBytes !== other.sizeBytes) return false;
  return one.sha256 === undefined || other.sha256 === undefined || one.sha256 === other.sha256;
}

async function* groupsOf(kv: Kv): AsyncGenerator<Group[]> {
  let start: Key = foundSpace;
  let open: FoundPlace[] = [];
  let groups: Group[] = [];
  const isOf = (one: FoundPlace | undefined, other: FoundPlace): boolean =>
    one?.path === other.path && one.order === other.order;
  for (;;) {
    const from = start;
    const rows = await kv.view(function* (tx): Program<KvEntry[]> {
      return yield* tx.range({ start: from, end: afterPrefix(foundSpace), limit: ROWS_A_PAGE });
    });
    for (const { key } of rows) {
      const place = readFoundKey(key);
      if (open.length > 0 && !isOf(open[0], place)) {
        groups.push(await groupOf(kv, open));
        // The versions of a path stay together, in their order.
        if (groups.length >= GROUPS_A_COMMIT && open[0]?.path !== place.path) {
          yield groups;
          groups = [];
        }
        open = [];
      }
      open.push(place);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < ROWS_A_PAGE) break;
    start = keyAfter(last.key);
  }
  if (open.length > 0) groups.push(await groupOf(kv, open));
  if (groups.length > 0) yield groups;
}

async function groupOf(kv: Kv, places: readonly FoundPlace[]): Promise<Group> {
  const rows = await kv.view((tx) => tx.getMany(places.map(({ site, key }) => objectKey(site, key))));
  const objects = places.flatMap(({ site, key }, index) => {
    const row = rows[index];
    return row === undefined ? [] : [{ site, info: decodeObject(key, row) }];
  });
  return { path: (places[0] as FoundPlace).path, objects };
}
