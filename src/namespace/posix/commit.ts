import { GfsError } from "../../core/errors.ts";
import type { FilePath, Inode, VersionId } from "../../core/ids.ts";
import { type Moment, momentOf } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { checkExpectation, commitAt } from "../commit.ts";
import { missing, readAttributes, readInode, writeAttributes, writeContent } from "../inodes.ts";
import { isHeld } from "../orphan-rows.ts";
import { claim, isPlaceOf, placesOf, release } from "../owners.ts";
import { pathOf } from "../tree.ts";
import type { Committed, Expectation, FileAttributes, FileRecord, FileVersion } from "../types.ts";
import { dropVersionParts } from "../version-parts.ts";
import { placeOf } from "./child.ts";
import { gone } from "./lookup.ts";

/** Content that comes to an inode, whatever its name is by now: for whoever has it open. */

export interface Commit {
  readonly inode: Inode;
  readonly version: FileVersion;
  /** The version that the writer began with; `none`: nobody had written to it. */
  readonly expect: VersionId | "none" | "any";
  /** Of the writer's right to write. One that the inode was fenced against is refused with `StaleEpoch`; who has none asks for no right. */
  readonly epoch?: number;
  /** When it was written to; absent: when the version was made. */
  readonly modified?: Moment;
  readonly now: Moment;
  readonly nextInode: () => Inode;
}

export function* commit(tx: Transaction, request: Commit): Program<Committed> {
  const { inode, version, now } = request;
  tx.claimRoom();
  const file = yield* readInode(tx, inode);
  if (file === undefined) throw gone(inode);
  if (file.kind !== "file")
    throw new GfsError(file.kind === "directory" ? "IsADirectory" : "InvalidArgument", "Only files have content.", {
      op: "namespace.commit",
      context: { inode, kind: file.kind },
    });
  assertEpoch(file, request);
  const modified = request.modified ?? momentOf(version.createdMs);
  if (file.linkCount === 0) return yield* commitToOrphan(tx, file, { ...request, modified });
  const home = file.parent ?? missing(inode);
  return yield* commitAt(tx, {
    path: (yield* pathOf(tx, inode)) as FilePath,
    place: placeOf({ parent: home.inode, name: home.name }, "file"),
    existing: file,
    version,
    expect: expectation(request),
    modified,
    now,
    nextInode: request.nextInode,
  });
}

/** From here on only who has at least this epoch commits to the inode. One that is fenced at a later epoch stays so. */
export function* fence(
  tx: Transaction,
  { inode, epoch }: { readonly inode: Inode; readonly epoch: number },
): Program<void> {
  const file = yield* readAttributes(tx, inode);
  if (file === undefined) throw gone(inode);
  if ((file.writeEpoch ?? 0) < epoch) writeAttributes(tx, { ...file, writeEpoch: epoch });
}

/** Asked before the bytes are sent, too: they would be sent for nothing. */
export function assertEpoch(file: FileAttributes, { epoch }: { readonly epoch?: number | undefined }): void {
  if (epoch === undefined || epoch >= (file.writeEpoch ?? 0)) return;
  throw new GfsError(
    "StaleEpoch",
    "The right to write to this file has ended meanwhile; open it again, and write what is still to be written.",
    { op: "namespace.commit", context: { inode: file.inode, epoch, writeEpoch: file.writeEpoch } },
  );
}

function expectation({ expect }: Commit): Expectation {
  if (expect === "any") return { kind: "any" };
  return expect === "none" ? { kind: "absent" } : { kind: "version", id: expect };
}

/** It has no name, so no history and no rules, and nobody is told. An older version never gets other content. */
function* commitToOrphan(
  tx: Transaction,
  file: FileRecord,
  request: Commit & { readonly modified: Moment },
): Program<Committed> {
  const { inode, version, modified, now } = request;
  if (!(yield* isHeld(tx, inode))) throw gone(inode);
  const { version: previous } = file;
  checkExpectation(expectation(request), previous);
  for (const copy of version.copies) yield* claim(tx, { inode, versionId: version.id, copy });
  const places = (previous?.copies ?? []).flatMap(placesOf);
  const orphans = places.filter((place) => !isPlaceOf(version.copies, place));
  for (const place of previous === undefined ? [] : orphans)
    yield* release(tx, { inode, version: previous as FileVersion, place, nowMs: now.ms, coveredId: version.id });
  if (previous !== undefined && previous.id !== version.id) dropVersionParts(tx, previous);
  const written: FileRecord = { ...file, version, sizeBytes: version.sizeBytes, modified, changed: now };
  writeAttributes(tx, written);
  writeContent(tx, inode, version);
  return { file: written, orphans, ...(previous === undefined ? {} : { previous }) };
}
