import { createHash } from "node:crypto";
import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { findTombstone } from "./tombstones.ts";
import { getEntered } from "./inodes.ts";
import { readEntry } from "./names.ts";
import { findPlace } from "./tree.ts";
import type { FileRecord } from "./types.ts";

/** What a key was at a moment. Any commit that somebody was told of since then shows in it; what jobs do to copies does not. */
export interface KeyState {
  /** The file that had the name, but for its copies. */
  readonly file?: { readonly digest: string; readonly versionId?: VersionId };
  /** The last delete, or rename away. */
  readonly tombstoneId?: VersionId;
  /** The directory that the name hangs in. */
  readonly directory?: Inode;
}

export function* readKeyState(tx: Reader, path: FilePath): Program<KeyState> {
  const tombstone = yield* findTombstone(tx, path);
  const place = yield* findPlace(tx, path, false);
  const entry = place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
  return {
    ...(entry === undefined ? {} : { file: describe(yield* getEntered(tx, entry)) }),
    ...(tombstone === undefined ? {} : { tombstoneId: tombstone.versionId }),
    ...(place === undefined ? {} : { directory: place.parent }),
  };
}

function describe(file: FileRecord): NonNullable<KeyState["file"]> {
  const { accessed: _accessed, changed: _changed, version, ...rest } = file;
  const { copies: _copies, ...content } = version ?? {};
  const digest = createHash("sha256")
    .update(JSON.stringify([rest, content]))
    .digest("hex")
    .slice(0, 32);
  return { digest, ...(version === undefined ? {} : { versionId: version.id }) };
}

/** Whether nothing has happened to the key. A directory that was made since then only holds what others have put beside it. */
export function isSameState(before: KeyState, now: KeyState): boolean {
  return before.file?.digest === now.file?.digest && isSamePlace(before, now);
}

/** Whether the name is where it was, whatever it leads to. */
export function isSamePlace(before: KeyState, now: KeyState): boolean {
  return (
    before.tombstoneId === now.tombstoneId && (before.directory === undefined || before.directory === now.directory)
  );
}
