import { GfsError } from "../core/errors.ts";
import { type Moment, momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { placeInKnown } from "./known-directories.ts";
import { clearNull, retire, rulesForFound } from "./history.ts";
import { assertDestroyable, settleVersion } from "./locks.ts";
import { claim, isPlaceOf, placesOf, release } from "./owners.ts";
import { splitPath } from "./path.ts";
import { entombKey } from "./tombstones.ts";
import { getEntered, newFile, writeAttributes, writeContent } from "./inodes.ts";
import { addFirstName, dropName, type Place, readEntry } from "./names.ts";
import { withoutSetIds } from "./posix/permissions.ts";
import { rememberShared } from "./shared-versions.ts";
import { ensureDirectory } from "./tree.ts";
import type {
  Change,
  CommitVersion,
  Committed,
  Expectation,
  FileKind,
  FileRecord,
  FileVersion,
  ObjectPlace,
} from "./types.ts";
import { assertWithinQuotas, countResize } from "./usage.ts";
import type { Usage } from "./usage-rows.ts";
import { dropVersionParts } from "./version-parts.ts";

const NO_FILE = {
  directory: "a directory",
  symlink: "a symbolic link",
  fifo: "a named pipe",
  socket: "a socket",
  characterDevice: "a device",
  blockDevice: "a device",
} as const satisfies Record<Exclude<FileKind, "file">, string>;

/**
 * Makes a version the current one of its path; the file and the directories above it are made when they are missing. In a bucket that keeps versions
 * the one before goes into the path's history. A file with several names keeps the others, and its content: this name leads to a new one.
 */
export function* commitVersion(tx: Transaction, commit: CommitVersion): Program<Committed> {
  const { path, nowMs } = commit;
  tx.claimRoom();
  const place = (yield* placeInKnown(tx, path, commit.known)) ?? (yield* makePlace(tx, commit));
  const entry = yield* readEntry(tx, place.parent, place.name);
  const named = entry === undefined ? undefined : yield* getEntered(tx, entry);
  if (named !== undefined && named.kind !== "file") {
    throw new GfsError("AlreadyExists", `${path} is ${NO_FILE[named.kind]}; remove it first.`);
  }
  checkExpectation(commit.expect, named?.version);
  const now = momentOf(nowMs);
  const at = { ...commit, expect: ANY, place, modified: momentOf(commit.version.createdMs), now };
  if (named === undefined) return yield* commitAt(tx, at);
  if (commit.found === true) return yield* commitAt(tx, { ...at, existing: named });
  // inode(7): other content does not run as its owner without being asked for.
  const mode = withoutSetIds(named);
  if (named.linkCount === 1) return yield* commitAt(tx, { ...at, existing: { ...named, mode } });
  rememberShared(tx, place, named, yield* rulesOf(tx, path));
  const left = yield* dropName(tx, place, named, now);
  const { uid, gid } = named;
  return { ...(yield* commitAt(tx, { ...at, granted: { mode, uid, gid } })), left };
}

function* makePlace(tx: Transaction, commit: CommitVersion): Program<Place> {
  const { parent, name } = splitPath(commit.path);
  return { parent: yield* ensureDirectory(tx, parent, commit), name };
}

const ANY: Expectation = { kind: "any" };

export interface CommitAt extends Omit<CommitVersion, "nowMs"> {
  readonly place: Place;
  /** What is there. */
  readonly existing?: FileRecord;
  /** Where nothing is there: whose the new file is. Absent: as one that nobody chose anything for. */
  readonly granted?: Pick<FileRecord, "mode" | "uid" | "gid">;
  /** When it was written to. */
  readonly modified: Moment;
  readonly now: Moment;
  /** It has been written long ago, and no quota refuses it. */
  readonly isThere?: boolean;
}

/** What a commit by key and one by inode have in common. */
export function* commitAt(tx: Transaction, commit: CommitAt): Program<Committed> {
  const { path, place, existing, modified, now } = commit;
  const nowMs = now.ms;
  checkExpectation(commit.expect, existing?.version);
  const bucket = yield* rulesOf(tx, path);
  const rules =
    commit.found === true ? yield* rulesForFound(tx, { path, rules: bucket, current: existing?.version }) : bucket;
  const version = settleVersion(commit.version, rules, nowMs);
  let file: FileRecord =
    existing === undefined
      ? { ...newFile({ inode: commit.nextInode(), version, modified, now }), ...commit.granted }
      : { ...existing, version, sizeBytes: version.sizeBytes, modified, changed: now };
  for (const copy of version.copies) yield* claim(tx, { inode: file.inode, versionId: version.id, copy });
  const before: Outgoing = existing === undefined ? NOTHING : yield* makeWay(tx, { existing, version, rules, commit });
  const nulls = yield* clearNull(tx, rules, { path, nowMs });
  writeContent(tx, file.inode, version);
  if (existing === undefined) file = yield* addFirstName(tx, place, file, now);
  else {
    yield* countResize(tx, existing, file.sizeBytes);
    writeAttributes(tx, file);
  }
  // What is there is there, whatever a quota says.
  if (commit.found !== true && commit.isThere !== true)
    yield* assertWithinQuotas(tx, file.parent?.inode ?? place.parent, growthOf(commit, before));
  recordChange(tx, {
    kind: existing === undefined ? "created" : "updated",
    path,
    inode: file.inode,
    versionId: version.id,
    atMs: nowMs,
    ...causeOf(commit),
  });
  return {
    file,
    orphans: nulls.length === 0 ? before.orphans : [...before.orphans, ...nulls],
    ...(existing?.version === undefined ? {} : { previous: existing.version }),
    ...(before.kept === undefined ? {} : { kept: before.kept }),
  };
}

function growthOf({ existing, version }: CommitAt, { kept }: Outgoing): Usage {
  const gone = kept === undefined ? (existing?.sizeBytes ?? 0) : 0;
  return { sizeBytes: version.sizeBytes - gone, inodes: existing === undefined ? 1 : 0, olderBytes: 0 };
}

interface Outgoing {
  readonly orphans: readonly ObjectPlace[];
  readonly kept?: FileRecord;
}

const NOTHING: Outgoing = { orphans: [] };

interface Incoming {
  readonly existing: FileRecord;
  readonly version: FileVersion;
  readonly rules: VersionRules;
  readonly commit: CommitAt;
}

/**
 * The version before is kept, or its objects are given up. Where the new one has taken the place of its bytes there is nothing to keep: another tool
 * has replaced them, or the write began before the bucket kept versions.
 */
function* makeWay(tx: Transaction, { existing, version, rules, commit }: Incoming): Program<Outgoing> {
  const previous = existing.version;
  if (previous === undefined) return NOTHING;
  const { path, place, now } = commit;
  const nowMs = now.ms;
  const remaining = previous.copies.filter(
    (copy) => !version.copies.some((each) => each.site === copy.site && each.key === copy.key),
  );
  const overwritten = remaining.length < previous.copies.length;
  const stays =
    keepsVersions(rules) &&
    previous.id !== version.id &&
    (rules.versioning === "enabled" || previous.details?.versioned === true) &&
    (!overwritten || remaining.some((copy) => copy.state === "present" || copy.state === "foreign"));
  if (stays) {
    const left: FileVersion = overwritten ? { ...previous, copies: remaining } : previous;
    const holder = commit.nextInode();
    return { orphans: [], kept: yield* retire(tx, { place, file: existing, version: left, holder, now }) };
  }
  if (!overwritten) assertDestroyable(previous, { path, nowMs });
  // Ids of two processes do not tell which was first: what is left of the one before must not come back as news.
  if (previous.id > version.id)
    yield* entombKey(tx, { path, deletedMs: nowMs, versionId: previous.id, etags: [], versions: [previous.id] });
  if (previous.id !== version.id) dropVersionParts(tx, previous);
  // What lies under the key that the new one is to be published under is replaced then.
  const orphans = previous.copies.flatMap(placesOf).filter((place) => !isPlaceOf(version.copies, place));
  for (const place of orphans)
    yield* release(tx, { inode: existing.inode, version: previous, place, nowMs, coveredId: version.id });
  return { orphans };
}

export function checkExpectation(expect: Expectation, current: FileVersion | undefined): void {
  switch (expect.kind) {
    case "any":
      return;
    case "absent":
      if (current === undefined) return;
      throw new GfsError("PreconditionFailed", "The object exists already.", { op: "namespace.expect" });
    case "version":
      if (current?.id === expect.id) return;
      throw new GfsError("Conflict", "Another writer changed the object meanwhile; read it again and retry.", {
        op: "namespace.expect",
      });
    case "etag":
      if (current !== undefined && expect.etags.some((etag) => etag === "*" || etag === current.etag)) return;
      throw new GfsError("PreconditionFailed", "The object has another ETag than the one that was asked for.", {
        op: "namespace.expect",
      });
  }
}

function causeOf({ copied, version }: CommitAt): Pick<Change, "cause"> {
  if (copied === true) return { cause: "copied" };
  return version.details?.partCount === undefined ? {} : { cause: "assembled" };
}
