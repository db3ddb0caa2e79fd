import type { FilePath, JobId, VersionId } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import type { FileRecord, ObjectPlace } from "../../namespace/index.ts";
import type { ProgramKit } from "../kit.ts";

export interface Removal {
  readonly path: FilePath;
  readonly inode: FileRecord["inode"];
  readonly versionId: VersionId;
  readonly place: ObjectPlace;
  readonly nowMs: number;
  /** The request does it itself. */
  readonly taken?: boolean;
}

/** Deletes are never refused for a full queue: an object that nobody removes would come back. */
export function* enqueueRemoval(tx: Transaction, kit: ProgramKit, removal: Removal): Program<JobId> {
  const { path, inode, versionId, place, nowMs } = removal;
  const id = kit.nextJobId();
  yield* enqueueJob(
    tx,
    {
      kind: "remove",
      path,
      inode,
      versionId,
      site: place.site,
      key: place.key,
      sizeBytes: 0,
      priority: 10,
      ...(place.etag === undefined ? {} : { etag: place.etag }),
      ...(removal.taken === true ? { takenBy: kit.writer.tag } : {}),
    },
    { id, nowMs },
  );
  return id;
}
