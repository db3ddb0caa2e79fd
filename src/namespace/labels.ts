import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { findVersion } from "./history.ts";
import { assertRetentionChange, noObjectLock } from "./locks.ts";
import { writeContent } from "./inodes.ts";
import { findFile } from "./tree.ts";
import type { FileRecord, FileVersion, Retention, VersionDetails, VersionLabels, VersionLock } from "./types.ts";

/** A field that is given replaces what was there; null takes it away. */
export interface ChangeLabels {
  readonly path: FilePath;
  /** As S3 shows it; absent: the current version. */
  readonly versionId?: string;
  readonly tags?: Readonly<Record<string, string>> | null;
  readonly accessList?: string | null;
  readonly retention?: Retention | null;
  readonly legalHold?: boolean;
  readonly bypassGovernance?: boolean;
  readonly nowMs: number;
}

/** Undefined when there is no such version. */
export function* changeLabels(tx: Transaction, change: ChangeLabels): Program<FileRecord | undefined> {
  const { path, nowMs } = change;
  tx.claimRoom();
  const file = yield* findLabelled(tx, change);
  const version = file?.version;
  if (file === undefined || version === undefined) return undefined;
  if ((change.retention ?? undefined) !== undefined || change.legalHold !== undefined) {
    if (!(yield* rulesOf(tx, path)).objectLock) throw noObjectLock();
  }
  const before = version.details?.labels ?? {};
  if (change.retention !== undefined)
    assertRetentionChange(before.lock?.retention, change.retention ?? undefined, change);
  const labelled = { ...file, version: withLabels(version, applyChange(before, change)) };
  writeContent(tx, file.inode, labelled.version);
  if (file.linkCount > 0)
    recordChange(tx, {
      kind: "updated",
      path,
      inode: file.inode,
      versionId: version.id,
      atMs: nowMs,
      cause: change.tags === undefined ? "labelled" : change.tags === null ? "untagged" : "tagged",
    });
  return labelled;
}

function* findLabelled(tx: Transaction, { path, versionId }: ChangeLabels): Program<FileRecord | undefined> {
  if (versionId === undefined) return yield* findFile(tx, path);
  const found = yield* findVersion(tx, path, versionId);
  if (found?.kind === "marker") {
    throw new GfsError("MethodNotAllowed", `Version ${versionId} of ${path} is a delete marker, which has no labels.`, {
      op: "namespace.labels",
      context: { deleteMarker: true, versionId },
    });
  }
  return found?.file;
}

function withLabels(version: FileVersion, labels: VersionLabels | undefined): FileVersion {
  const { details, ...bare } = version;
  const { labels: _, ...kept } = details ?? {};
  const changed: VersionDetails = labels === undefined ? kept : { ...kept, labels };
  return Object.keys(changed).length === 0 ? bare : { ...bare, details: changed };
}

function applyChange(before: VersionLabels, change: ChangeLabels): VersionLabels | undefined {
  const tags = change.tags === undefined ? before.tags : (change.tags ?? undefined);
  const accessList = change.accessList === undefined ? before.accessList : (change.accessList ?? undefined);
  const lock = lockAfter(before.lock, change);
  if (tags === undefined && accessList === undefined && lock === undefined) return undefined;
  return {
    ...(tags === undefined ? {} : { tags }),
    ...(accessList === undefined ? {} : { accessList }),
    ...(lock === undefined ? {} : { lock }),
  };
}

function lockAfter(before: VersionLock | undefined, change: ChangeLabels): VersionLock | undefined {
  const retention = change.retention === undefined ? before?.retention : (change.retention ?? undefined);
  const legalHold = change.legalHold ?? before?.legalHold;
  if (retention === undefined && legalHold === undefined) return undefined;
  return {
    ...(retention === undefined ? {} : { retention }),
    ...(legalHold === undefined ? {} : { legalHold }),
  };
}
