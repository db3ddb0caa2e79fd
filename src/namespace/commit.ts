import { GfsError } from "../core/errors.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { recordChange } from "./changes.ts";
import { claim, release, samePlace } from "./owners.ts";
import { splitPath } from "./path.ts";
import { ensureDirectory, getInode, readEntry, writeEntry, writeInode } from "./tree.ts";
import type { CommitVersion, Committed, Copy, Expectation, FileRecord, FileVersion } from "./types.ts";

const FILE_MODE = 0o644;

/** Makes a version the current one of its path; the file and the directories above it are made when they are missing. */
export function* commitVersion(tx: Transaction, commit: CommitVersion): Program<Committed> {
  const { path, version, nowMs } = commit;
  const { parent, name } = splitPath(path);
  const directory = yield* ensureDirectory(tx, parent, commit);
  const inode = yield* readEntry(tx, directory, name);
  const existing = inode === undefined ? undefined : yield* getInode(tx, inode);
  if (existing?.kind === "symlink") {
    throw new GfsError("AlreadyExists", `${path} is a symbolic link; remove it first, or write to what it points at.`);
  }
  checkExpectation(commit.expect, existing?.version);
  const file: FileRecord =
    existing === undefined
      ? {
          inode: commit.nextInode(),
          kind: "file",
          mode: FILE_MODE,
          uid: 0,
          gid: 0,
          linkCount: 1,
          createdMs: nowMs,
          modifiedMs: version.createdMs,
          changedMs: nowMs,
          version,
        }
      : { ...existing, version, modifiedMs: version.createdMs, changedMs: nowMs };
  for (const copy of version.copies) yield* claim(tx, { inode: file.inode, versionId: version.id, copy });
  const orphans = yield* releaseReplaced(tx, file, existing?.version, nowMs);
  writeInode(tx, file);
  if (existing === undefined) writeEntry(tx, directory, name, file.inode);
  recordChange(tx, {
    kind: existing === undefined ? "created" : "updated",
    path,
    inode: file.inode,
    versionId: version.id,
    atMs: nowMs,
  });
  return { file, orphans, ...(existing?.version === undefined ? {} : { previous: existing.version }) };
}

function* releaseReplaced(
  tx: Transaction,
  file: FileRecord,
  previous: FileVersion | undefined,
  nowMs: number,
): Program<Copy[]> {
  const orphans: Copy[] = [];
  const kept = file.version?.copies ?? [];
  for (const copy of previous?.copies ?? []) {
    if (kept.some((each) => samePlace(each, copy))) continue;
    const coveredId = (file.version as FileVersion).id;
    yield* release(tx, { inode: file.inode, version: previous as FileVersion, copy, nowMs, coveredId });
    orphans.push(copy);
  }
  return orphans;
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
