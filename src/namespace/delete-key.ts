import type { FilePath, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { checkExpectation } from "./commit.ts";
import { type DeletedKey, deleteEntry, type Deletion, hideKey } from "./delete-entry.ts";
import { clearNull } from "./history.ts";
import { ensureHistoryDirectory } from "./history-of-path.ts";
import { splitPath } from "./path.ts";
import { findNamed, removeFile } from "./remove.ts";
import { type Maker, pruneUpwards } from "./tree.ts";
import type { Expectation, KnownDirectory } from "./types.ts";

export interface DeleteKey extends Maker, Omit<Deletion, "now"> {
  readonly path: FilePath;
  readonly expect: Expectation;
  readonly tombstoneVersionId: VersionId;
  /** Where its directory may be. */
  readonly known?: KnownDirectory | undefined;
}

/** A delete by key: of what is not there, too, which a bucket that keeps versions remembers. */
export function* deleteKey(tx: Transaction, request: DeleteKey): Program<DeletedKey> {
  const { path, nowMs } = request;
  const rules = yield* rulesOf(tx, path);
  if (!keepsVersions(rules)) return (yield* removeFile(tx, request)) ?? { orphans: [] };
  const found = yield* findNamed(tx, path, request.known);
  checkExpectation(request.expect, found?.file.version);
  const deletion = { ...request, now: momentOf(nowMs) };
  if (found === undefined) {
    // First, for with it directories may go that nothing else lies in.
    const orphans = yield* clearNull(tx, rules, { path, nowMs });
    const directory = yield* ensureHistoryDirectory(tx, splitPath(path).parent, request);
    return { orphans, marker: yield* hideKey(tx, { ...deletion, rules, directory }) };
  }
  const deleted = yield* deleteEntry(tx, { ...deletion, ...found });
  yield* pruneUpwards(tx, found.place.parent, nowMs);
  return deleted;
}
