import path from "node:path";
import type { RootDatabase } from "lmdb";
import { GfsError } from "../../core/errors.ts";
import type { Kv, Program, Reader } from "../kv.ts";
import { openSnapshot } from "../held-snapshot.ts";
import { readerOf, runSync } from "../program.ts";
import { findBootId } from "./boot.ts";
import { hasLost } from "./flush-marks.ts";
import { checkBeginning } from "./lmdb-files.ts";
import {
  BINARY,
  CATALOG_FILE,
  decodeRevision,
  FORMAT,
  FORMAT_KEY,
  holdSnapshot,
  REVISION,
  type Rows,
  SHARED_BINARY,
  snapshotOf,
} from "./lmdb-rows.ts";

/**
 * The catalog of another process of this machine, to read. Every view begins with the newest commit, so that what that process has acknowledged
 * is seen here. What would write is `ReadOnly`: the process that owns the catalog does it.
 */
export async function openLmdbReader(directory: string): Promise<Kv> {
  const file = path.join(directory, CATALOG_FILE);
  const { open } = await import("lmdb");
  let root: RootDatabase;
  let rows: Rows;
  let meta: Rows;
  try {
    if (await hasLost(file, await findBootId()))
      throw new Error("the machine has started anew since it was written; start the coordinator first");
    await checkBeginning(file, { mayBeEmpty: false });
    root = open({ path: file, noSubdir: true, maxDbs: 4, readOnly: true });
    rows = root.openDB({ name: "rows", ...SHARED_BINARY }) as unknown as Rows;
    meta = root.openDB({ name: "meta", ...BINARY }) as Rows;
  } catch (error) {
    throw new GfsError("Unavailable", `The catalog at ${directory} cannot be read: ${(error as Error).message}`, {
      op: "kv.open",
      cause: error,
    });
  }
  if (meta.getBinary(FORMAT_KEY)?.readUInt32BE(0) !== FORMAT) {
    await root.close();
    throw new GfsError("ConfigInvalid", `The catalog at ${directory} has another format than this release reads.`, {
      op: "kv.open",
    });
  }
  const snapshot = snapshotOf(rows);
  let closed = false;

  const begin = (): void => {
    if (closed) throw new GfsError("Unavailable", "The catalog is closed; the process is shutting down.");
    // The library keeps a snapshot until the next turn of its timers, and another process may have committed since.
    root.resetReadTxn();
  };
  const viewSync = <T>(program: (tx: Reader) => Program<T>): T => {
    begin();
    return runSync(program(readerOf(snapshot)), snapshot);
  };
  const revisionSync = (): number => {
    begin();
    return decodeRevision(meta.getBinary(REVISION));
  };

  return {
    engine: "lmdb",
    view: async (program) => viewSync(program),
    viewSync,
    async snapshot() {
      begin();
      return openSnapshot(holdSnapshot(root, rows, meta));
    },
    revisionSync,
    revision: async () => revisionSync(),
    async transact() {
      throw readOnly();
    },
    async flush() {
      throw readOnly();
    },
    async lease() {
      throw readOnly();
    },
    watch() {
      throw readOnly();
    },
    async stats() {
      begin();
      const { entryCount } = rows.getStats() as { entryCount: number };
      const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
      return { entries: entryCount, sizeBytes: lastPageNumber * pageSize };
    },
    async close() {
      if (closed) return;
      closed = true;
      await root.close();
    },
  };
}

function readOnly(): GfsError {
  return new GfsError("ReadOnly", "This process only reads the catalog; the coordinator writes it.", {
    op: "kv.transact",
  });
}
