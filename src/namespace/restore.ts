import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { commitAt } from "./commit.ts";
import { findHistory } from "./history-of-path.ts";
import { readContent, writeAttributes, writeContent } from "./inodes.ts";
import { claim, findOwner, placesOf } from "./owners.ts";
import { splitPath } from "./path.ts";
import { ownerKey } from "./rows.ts";
import { ensureDirectory, findFile } from "./tree.ts";
import type { Copy, FileRecord, FileVersion, ObjectPlace } from "./types.ts";

/**
 * Brings a version back that sites hold and the catalog does not know, or not there. Of several versions of a path the newest has it; one that is in its
 * way gets another name, and none of their objects is given up: what a catalog was made again from is not to be removed for not being understood.
 */

export interface RestoreVersion {
  readonly path: FilePath;
  readonly version: FileVersion;
  /** Of a file that is not there yet. */
  readonly attributes?: Partial<Pick<FileRecord, "mode" | "uid" | "gid">>;
  readonly nextInode: () => Inode;
  /** Where what cannot have its path goes. */
  readonly lostPath: (version: FileVersion) => FilePath;
  /** Whether the site has such an object. */
  readonly isThere: (tx: Transaction, place: ObjectPlace) => Program<boolean>;
}

/** known: there was nothing to do. copy: one more copy of what the catalog knows. lost: it got another name. */
export type Restored = "known" | "copy" | "file" | "lost";

export function* restoreVersion(tx: Transaction, request: RestoreVersion): Program<Restored> {
  const { path, version } = request;
  const file = yield* findFile(tx, path);
  const copies = yield* unknownOf(tx, version, file?.inode);
  if (copies.length === 0) return "known";
  const found: FileVersion = { ...version, copies };
  if (file?.version?.id === version.id) {
    yield* addCopies(tx, file, found);
    return "copy";
  }
  if (file !== undefined && (file.kind !== "file" || (file.version !== undefined && file.version.id > version.id)))
    return yield* putAside(tx, request, found);
  const rules = yield* rulesOf(tx, path);
  if (keepsVersions(rules) && (yield* findHistory(tx, path, version.id)) !== undefined)
    return yield* putAside(tx, request, found);
  const { orphans, previous } = yield* putAt(tx, request, { path, version: found, file });
  // What the new one took the path of may be there still, and may be all that somebody was promised.
  const left: Copy[] = [];
  for (const place of orphans) {
    const copy = previous?.copies.find(({ site, key }) => site === place.site && key === place.key);
    if (copy !== undefined && (yield* request.isThere(tx, copy))) left.push(bare(copy));
  }
  if (previous !== undefined && left.length > 0) yield* putAside(tx, request, { ...previous, copies: left });
  return "file";
}

/** Copies whose objects the catalog has for no copy of this version. Another version that is said to lie there is not there any more. */
function* unknownOf(tx: Transaction, { id, copies }: FileVersion, inode: Inode | undefined): Program<Copy[]> {
  const unknown: Copy[] = [];
  for (const copy of copies) {
    const owner = yield* findOwner(tx, copy.site, copy.key);
    const content = owner === undefined ? undefined : yield* readContent(tx, owner.inode);
    if (content?.id === id) continue;
    if (owner !== undefined && owner.inode !== inode) {
      tx.delete(ownerKey(copy.site, copy.key));
      if (content !== undefined) writeContent(tx, owner.inode, withoutPlace(content, copy));
    }
    unknown.push(copy);
  }
  return unknown;
}

function withoutPlace(version: FileVersion, place: ObjectPlace): FileVersion {
  const isAt = (key: string | undefined): boolean => key === place.key;
  const copies = version.copies.flatMap((copy) => {
    if (copy.site !== place.site) return [copy];
    if (isAt(copy.key)) return [];
    return isAt(copy.home) ? [bare(copy)] : [copy];
  });
  return { ...version, copies };
}

/** Without what it was to be published under. */
function bare({ home: _home, replaces: _replaces, ...copy }: Copy): Copy {
  return copy;
}

/** A site has one copy of a version, and a second object of it is nobody's. */
function* addCopies(tx: Transaction, file: FileRecord, { id, copies }: FileVersion): Program<void> {
  const version = file.version as FileVersion;
  const more = copies.filter(
    (copy) => !version.copies.some(({ site, state }) => site === copy.site && state === "present"),
  );
  const isReplaced = (site: string): boolean => more.some((copy) => copy.site === site);
  for (const place of version.copies.filter(({ site }) => isReplaced(site)).flatMap(placesOf))
    tx.delete(ownerKey(place.site, place.key));
  for (const copy of more) yield* claim(tx, { inode: file.inode, versionId: id, copy });
  writeContent(tx, file.inode, {
    ...version,
    copies: [...version.copies.filter(({ site }) => !isReplaced(site)), ...more],
  });
}

function* putAside(tx: Transaction, request: RestoreVersion, version: FileVersion): Program<Restored> {
  const path = request.lostPath(version);
  const file = yield* findFile(tx, path);
  if (file?.version?.id === version.id) yield* addCopies(tx, file, version);
  else yield* putAt(tx, request, { path, version, file: undefined });
  return "lost";
}

interface Put {
  readonly path: FilePath;
  readonly version: FileVersion;
  readonly file: FileRecord | undefined;
}

function* putAt(tx: Transaction, request: RestoreVersion, { path, version, file }: Put) {
  const { nextInode, attributes } = request;
  const { parent, name } = splitPath(path);
  const now = momentOf(version.createdMs);
  const directory = yield* ensureDirectory(tx, parent, { nowMs: version.createdMs, nextInode });
  const committed = yield* commitAt(tx, {
    path,
    version,
    expect: { kind: "any" },
    nextInode,
    place: { parent: directory, name },
    ...(file === undefined ? {} : { existing: file }),
    modified: now,
    now,
    isThere: true,
  });
  if (file === undefined && attributes !== undefined) {
    const { version: _, ...made } = committed.file;
    writeAttributes(tx, { ...made, ...attributes });
  }
  return committed;
}

/** Takes copies away whose objects are not there; resolves with whether any is left. */
export function* dropCopies(
  tx: Transaction,
  {
    inode,
    versionId,
    gone,
  }: { readonly inode: Inode; readonly versionId: VersionId; readonly gone: readonly ObjectPlace[] },
): Program<boolean> {
  let version = yield* readContent(tx, inode);
  if (version?.id !== versionId) return true;
  for (const place of gone) {
    for (const each of version.copies
      .filter(({ site, key }) => site === place.site && key === place.key)
      .flatMap(placesOf))
      tx.delete(ownerKey(each.site, each.key));
    version = {
      ...version,
      copies: version.copies.filter(({ site, key }) => site !== place.site || key !== place.key),
    };
  }
  writeContent(tx, inode, version);
  return version.copies.length > 0;
}
