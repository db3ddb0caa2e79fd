import type { FilePath } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { carryUnqueued } from "../../mover/index.ts";
import type { Committed, FileVersion } from "../../namespace/index.ts";
import type { ProgramKit } from "../kit.ts";
import { enqueueRemoval } from "./removal.ts";

/** What every commit of a version leaves to be done, in the same transaction: objects that nobody needs go, and a version that stays keeps its jobs. */
export function* afterCommit(
  tx: Transaction,
  kit: ProgramKit,
  { path, committed, nowMs }: { readonly path: FilePath; readonly committed: Committed; readonly nowMs: number },
): Program<void> {
  const { file, kept, orphans, previous } = committed;
  const version = file.version as FileVersion;
  if (kept?.version !== undefined)
    yield* carryUnqueued(tx, { version: kept.version, from: file.inode, to: kept.inode });
  const versionId = kept === undefined && previous !== undefined ? previous.id : version.id;
  for (const place of orphans) yield* enqueueRemoval(tx, kit, { path, inode: file.inode, versionId, place, nowMs });
}
