import { type FilePath, type Inode, type JobId, ROOT_INODE } from "../../core/ids.ts";
import { decodeKey, encodeKey, findFirst, type Program, type Transaction } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import { type FileRecord, findByInode, listPage, pathOf } from "../../namespace/index.ts";
import { VERSIONS_PREFIX } from "./object-keys.ts";
import type { Kit, ProgramKit } from "../kit.ts";

/**
 * After a directory was renamed its files' objects still have their old keys. The row of the directory says how far the walk has come that gives
 * each of them a publish job; the walk goes on in small transactions while the queue has room, also after a restart.
 */
const SPACE = "coordinator-publishing";
const FILES_A_TURN = 100;
/** Of a job that is made, and of those that it makes superfluous. */
const ROWS_A_COPY = 8;
const ROOM_BYTES = 64 * 1024;
/** New work waits while this many jobs wait already: the walk is housekeeping. */
const QUEUE_ROOM = 5_000;

export function markForPublishing(tx: Transaction, directory: Inode): void {
  tx.put(encodeKey(SPACE, directory), Buffer.from(""));
}

/** One turn of the walk; resolves with whether there is more to do. */
export async function publishSome(kit: Kit): Promise<boolean> {
  if ((await kit.mover.depth()) > QUEUE_ROOM) return true;
  const nowMs = kit.clock.nowMs();
  const more = await kit.kv.transact(function* (tx): Program<boolean> {
    const row = yield* findFirst(tx, encodeKey(SPACE));
    if (row === undefined) return false;
    const inode = decodeKey(row.key, ["number"])[0] as Inode;
    const directory = yield* pathOf(tx, inode);
    if (directory === undefined || inode === ROOT_INODE) {
      tx.delete(row.key);
      return true;
    }
    // Keys are kept relative, so that a directory renamed once more in the middle of its walk is still walked to the end.
    const done = Buffer.from(row.value).toString();
    const prefix = `${directory}/`;
    const page = yield* listPage(tx, { prefix, limit: FILES_A_TURN, ...(done === "" ? {} : { after: prefix + done }) });
    let after = page.next;
    let last: string | undefined;
    for (const { key, file } of page.files) {
      const writes = 1 + ROWS_A_COPY * (file.version?.copies.length ?? 0);
      if (last !== undefined && !tx.hasRoom({ writes, sizeBytes: ROOM_BYTES })) {
        after = last;
        break;
      }
      if (file.kind === "file") yield* enqueuePublishing(tx, kit, { path: key as FilePath, file, nowMs });
      last = key;
    }
    if (after === undefined) tx.delete(row.key);
    else tx.put(row.key, Buffer.from(after.slice(prefix.length)));
    return true;
  });
  if (more) kit.mover.wake();
  return more;
}

export interface Publishable {
  readonly path: FilePath;
  readonly file: FileRecord;
  readonly nowMs: number;
  /** The request does it itself, as far as it goes well. */
  readonly now?: boolean;
}

/**
 * One publish job for each copy whose object is not at the file's path, or will not be once it has arrived. Objects that were written as versions
 * stay where they are.
 */
export function* enqueuePublishing(
  tx: Transaction,
  kit: ProgramKit,
  { path, file, nowMs, now }: Publishable,
): Program<readonly JobId[]> {
  const version = file.version;
  if (version === undefined || kit.router.planWrite(path).publish === "never") return [];
  const ids: JobId[] = [];
  const taken = now === true ? { takenBy: kit.writer.tag } : {};
  for (const copy of version.copies) {
    // One that has no bytes yet, or wrong ones, keeps the key that its job was given; the publish job claims the path for it.
    if (copy.key === path || copy.key.startsWith(VERSIONS_PREFIX)) continue;
    const { inode } = file;
    const place = { path, inode, versionId: version.id, site: copy.site, key: copy.key };
    const id = kit.nextJobId();
    ids.push(id);
    yield* enqueueJob(
      tx,
      { ...place, ...taken, kind: "publish", sizeBytes: version.sizeBytes, priority: 20 },
      { id, nowMs },
    );
  }
  return ids;
}

/** Of a file that is called otherwise by now, or has lost one of its names: its objects follow it to where it hangs. */
export function* publishWhereItHangs(
  tx: Transaction,
  kit: ProgramKit,
  { inode, nowMs }: { readonly inode: Inode; readonly nowMs: number },
): Program<void> {
  const file = yield* findByInode(tx, inode);
  if (file?.version === undefined || file.linkCount === 0) return;
  const path = (yield* pathOf(tx, inode)) as FilePath;
  yield* enqueuePublishing(tx, kit, { path, file, nowMs });
}
