import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { makeDirectory } from "./directories.ts";
import { versionOf } from "./foreign.ts";
import { rulesForFound } from "./history.ts";
import { findHistory } from "./history-of-path.ts";
import { settleVersion } from "./locks.ts";
import { isDeleted, keyOfObject, type MovedDirectory, movesAt, readMoves } from "./moved-directories.ts";
import { OWN_PREFIX } from "./object-layout.ts";
import { isNameable, type ParsedKey, splitPath } from "./path.ts";
import { encodeOwner, ownerKey } from "./rows.ts";
import { entombKey, findTombstone, isBuried } from "./tombstones.ts";
import { getEntered, newFile, writeContent } from "./inodes.ts";
import { addFirstName, readEntry } from "./names.ts";
import { ensureDirectory, findDirectory } from "./tree.ts";
import { suspectStrays } from "./writers.ts";
import type { Copy, FileRecord, ForeignObject } from "./types.ts";

/** As much as one object may take: its rows, and all that is said of it. */
const ROOM_FOR_ONE = { writes: 8, sizeBytes: 64 * 1024 };
/** When the directories above it have to be made, too. */
const ROOM_WITH_DIRECTORIES = { writes: 60, sizeBytes: 128 * 1024 };

export interface AdoptForeign {
  readonly site: SiteName;
  readonly objects: readonly ForeignObject[];
  readonly nowMs: number;
  readonly nextInode: () => Inode;
  readonly nextVersionId: () => VersionId;
  /** Its writer may yet make a version of it. */
  readonly isInFlight?: (
    tx: Transaction,
    object: { readonly key: string; readonly versionId: string },
  ) => Program<boolean>;
  /** Only what lies under the old name of a renamed directory; what cannot be taken in stays hidden from then on. */
  readonly onlyMoved?: boolean;
}

export interface Adopted {
  /** How many of the objects, from the first on, the transaction had room for. */
  readonly seen: number;
  readonly adopted: number;
  /** Known already, or deleted here. */
  readonly skipped: number;
  /** Keys that no path can name. */
  readonly refused: readonly string[];
}

/** Takes what there is room for of a site's listing into the catalog. Sorted keys share their directories' lookups. */
export function* adoptForeign(tx: Transaction, request: AdoptForeign): Program<Adopted> {
  tx.claimRoom();
  const directories = new Map<string, Inode>();
  const moves = movesAt(yield* readMoves(tx), request.site);
  const refused: string[] = [];
  let adopted = 0;
  let seen = 0;
  for (const object of request.objects) {
    const name = keyOfObject(moves, object);
    const moved = name !== object.key;
    const place = isNameable(object.key) ? placeOf(name) : undefined;
    const isInKnown = place !== undefined && directories.has(splitPath(place.path).parent);
    if (!tx.hasRoom(isInKnown ? ROOM_FOR_ONE : ROOM_WITH_DIRECTORIES)) break;
    seen += 1;
    if (object.key.startsWith(OWN_PREFIX) || (request.onlyMoved === true && !moved)) continue;
    if (place === undefined) refused.push(object.key);
    else if (place.directory) adopted += Number(yield* adoptMarker(tx, request, place.path));
    else adopted += Number(yield* adoptOne(tx, request, { object, path: place.path, moves, moved, directories }));
  }
  return { seen, adopted, skipped: seen - adopted - refused.length, refused };
}

/** A directory may have got a name since that no key can have. */
function placeOf(name: string): Pick<ParsedKey, "path" | "directory"> {
  const directory = name.endsWith("/");
  return { path: (directory ? name.slice(0, -1) : name) as FilePath, directory };
}

interface Found {
  readonly object: ForeignObject;
  /** Where it belongs. */
  readonly path: FilePath;
  readonly moves: readonly MovedDirectory[];
  /** That is not where it lies. */
  readonly moved: boolean;
  /** Of the objects before, by their paths. */
  readonly directories: Map<string, Inode>;
}

function* adoptOne(tx: Transaction, request: AdoptForeign, found: Found): Program<boolean> {
  const { site, nowMs, isInFlight } = request;
  const { object, path, moves, moved, directories } = found;
  const { key } = object;
  if ((yield* tx.get(ownerKey(site, key))) !== undefined) return false;
  if (isBuried(yield* findTombstone(tx, key as FilePath), object)) return false;
  const writtenId = object.metadata["globalfs-version"];
  if (writtenId !== undefined && isInFlight !== undefined && (yield* isInFlight(tx, { key, versionId: writtenId })))
    return false;
  if (moved && (yield* isDeleted(tx, moves, object))) return yield* bury(tx, request, object);
  const { parent, name } = splitPath(path);
  let parentInode = directories.get(parent);
  if (parentInode === undefined) {
    parentInode = yield* ensureDirectory(tx, parent, request);
    directories.set(parent, parentInode);
  }
  const known = yield* readEntry(tx, parentInode, name);
  if (known !== undefined) {
    if (yield* addCopy(tx, request, object, yield* getEntered(tx, known))) return true;
    return moved ? yield* bury(tx, request, object) : false;
  }
  const copy: Copy = { site, key, state: "foreign", etag: object.etag, changedMs: nowMs };
  const version = versionOf(object, [copy], request.nextVersionId());
  const rules = yield* rulesOf(tx, path);
  // The row of an older version leads to these very bytes, or did: they are no new version.
  if (keepsVersions(rules) && (yield* findHistory(tx, path, version.id)) !== undefined)
    return moved ? yield* bury(tx, request, object) : false;
  const settled = settleVersion(version, yield* rulesForFound(tx, { path, rules, current: undefined }), nowMs);
  const now = momentOf(nowMs);
  const modified = momentOf(object.modifiedMs);
  const file = newFile({ inode: request.nextInode(), version: settled, modified, now });
  tx.put(ownerKey(site, key), encodeOwner({ inode: file.inode, versionId: settled.id }));
  writeContent(tx, file.inode, settled);
  yield* addFirstName(tx, { parent: parentInode, name }, file, now);
  recordChange(tx, { kind: "created", path, inode: file.inode, versionId: settled.id, atMs: nowMs });
  return true;
}

/** It was hidden under the name that the directory has now, and is not to show under the one that it had, as long as it lies there. */
function* bury(tx: Transaction, { nowMs, nextVersionId }: AdoptForeign, { key, etag }: ForeignObject): Program<false> {
  suspectStrays(tx, nowMs + 1);
  yield* entombKey(tx, { path: key as FilePath, deletedMs: nowMs, versionId: nextVersionId(), etags: [etag] });
  return false;
}

function* adoptMarker(tx: Transaction, request: AdoptForeign, path: FilePath): Program<boolean> {
  const { nowMs, nextInode } = request;
  const before = yield* findDirectory(tx, path);
  if (before !== undefined && before.implicit !== true) return false;
  yield* makeDirectory(tx, { path, mode: 0o755, uid: 0, gid: 0, parents: true, existing: "keep", nowMs, nextInode });
  return true;
}

/** The same content at one more site is one more copy. */
function* addCopy(
  tx: Transaction,
  { site, nowMs }: AdoptForeign,
  object: ForeignObject,
  file: FileRecord,
): Program<boolean> {
  const version = file.version;
  if (version === undefined || version.sizeBytes !== object.sizeBytes) return false;
  const sameSha256 = object.sha256 !== undefined && object.sha256 === version.sha256;
  const sameEtag = version.copies.some((copy) => copy.etag === object.etag && copy.state !== "stale");
  if ((!sameSha256 && !sameEtag) || version.copies.some((copy) => copy.site === site)) return false;
  const copy: Copy = { site, key: object.key, state: "foreign", etag: object.etag, changedMs: nowMs };
  tx.put(ownerKey(site, object.key), encodeOwner({ inode: file.inode, versionId: version.id }));
  writeContent(tx, file.inode, { ...version, copies: [...version.copies, copy] });
  return true;
}
