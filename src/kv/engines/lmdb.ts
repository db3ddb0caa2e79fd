import { mkdir, open, stat, statfs } from "node:fs/promises";
import path from "node:path";
import type { RootDatabase } from "lmdb";
import { fromErrno, GfsError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { commitInKeptRoom, createEmbeddedKv, type EmbeddedDeps, type Table, type TableWriter } from "../embedded.ts";
import { BUDGET, type Key, type Kv, type Value } from "../kv.ts";
import { lockDirectory } from "./directory-lock.ts";
import { openDiskReserve } from "./disk-reserve.ts";
import {
  asBuffer,
  BINARY,
  CATALOG_FILE,
  decodeRevision,
  encodeRevision,
  FORMAT,
  FORMAT_KEY,
  holdSnapshot,
  readRange,
  REVISION,
  type Rows,
  SHARED_BINARY,
  snapshotOf,
} from "./lmdb-rows.ts";

/** One process, one directory: LMDB maps the file, so reads cost no system call, and commits that arrive together share one flush. */
export interface LmdbOptions {
  readonly path: string;
  /** Once the file is this large and has no free pages, puts are refused; absent: it grows as far as the disk has room. */
  readonly mapSizeBytes?: number;
}

const RESERVE_FILE = "catalog.reserve";
const RESERVE_EVERY_MS = 60_000;
const EPHEMERAL = Buffer.from("ephemeral\0");

export async function openLmdbKv(options: LmdbOptions, deps: EmbeddedDeps = { clock: systemClock }): Promise<Kv> {
  const directory = options.path;
  await prepareDirectory(directory);
  const unlock = await lockDirectory(directory);
  try {
    // The library would make them as the process's mask lets it: the catalog is for this user alone. Only under the lock, because the library loses
    // locks of its own when this process closes such a file.
    for (const name of [CATALOG_FILE, `${CATALOG_FILE}-lock`]) await closeToOthers(path.join(directory, name));
    const table = await openTable(options, { ...deps, unlock });
    await removeEphemeral(table);
    return createEmbeddedKv(table, deps);
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function prepareDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (!(await stat(directory)).isDirectory()) throw Object.assign(new Error(directory), { code: "ENOTDIR" });
  } catch (error) {
    const failure = fromErrno(error, "kv.open", { path: directory });
    throw new GfsError(
      "ConfigInvalid",
      `The catalog cannot live at ${directory}: ${failure.message} coordinator.data_dir sets the place.`,
      {
        cause: error,
      },
    );
  }
}

async function closeToOthers(file: string): Promise<void> {
  const handle = await open(file, "a", 0o600);
  try {
    if (((await handle.stat()).mode & 0o077) !== 0) await handle.chmod(0o600);
  } finally {
    await handle.close();
  }
}

/** What the library tells of its file. */
interface EnvironmentStats {
  readonly lastPageNumber: number;
  readonly pageSize: number;
  readonly free: { readonly overflowPages: number };
}

interface LmdbTable extends Table {
  ephemeralKeys(): Key[];
}

/** A catalog that was made just now must not lose its name with the power. */
async function syncDirectory(directory: string): Promise<void> {
  for (const each of [directory, path.dirname(directory)]) {
    try {
      const handle = await open(each, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      // A parent that is closed to us was there before, and Windows flushes no directories.
      const { code } = error as NodeJS.ErrnoException;
      if (each === directory && process.platform !== "win32") throw fromErrno(error, "kv.open", { path: each });
      if (code !== "EACCES" && code !== "EPERM" && code !== "EISDIR" && code !== "EINVAL")
        throw fromErrno(error, "kv.open", { path: each });
    }
  }
}

async function openTable(
  options: LmdbOptions,
  { clock, unlock }: EmbeddedDeps & { readonly unlock: () => Promise<void> },
): Promise<LmdbTable> {
  // Loaded here so that commands that open no catalog do not pay for the native library.
  const { open: openEnvironment } = await import("lmdb");
  let root: RootDatabase;
  try {
    root = openEnvironment({
      path: path.join(options.path, CATALOG_FILE),
      noSubdir: true,
      maxDbs: 4,
      // Without a bound on the kept free list single commits become 20 times slower after large random transactions.
      maxFreeSpaceToRetain: 2_000,
      // The promise of a transaction resolves when it is flushed, as plain LMDB does it. The library's other way, a flush after the commit,
      // has a promise of its own that never settles when a commit fails.
      overlappingSync: false,
      // Else the library makes one more promise for each batch, keeps it to itself, and rejects it when the batch fails.
      eventTurnBatching: false,
    } as Parameters<typeof openEnvironment>[0]);
  } catch (error) {
    throw new GfsError(
      "ConfigInvalid",
      `The catalog at ${options.path} cannot be opened: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const rows = root.openDB({ name: "rows", ...SHARED_BINARY }) as unknown as Rows;
  const meta = root.openDB({ name: "meta", ...BINARY }) as Rows;
  await checkFormat(root, meta, options.path);

  const snapshot = snapshotOf(rows);
  const revision = (): number => decodeRevision(meta.getBinary(REVISION));
  await syncDirectory(options.path);
  const reserve = await openDiskReserve(path.join(options.path, RESERVE_FILE));
  let reserveAtMs = clock.monotonicMs();
  const keepReserve = async (): Promise<void> => {
    if (!reserve.isShort || clock.monotonicMs() - reserveAtMs < RESERVE_EVERY_MS) return;
    reserveAtMs = clock.monotonicMs();
    await reserve.restore();
  };
  /** How many commits, however large, still fit into the room that was found: to look for each would take a good part of its time. */
  let surely = 0;
  const writer: TableWriter = {
    ...snapshot,
    put: (key, value) => put(rows, key, value),
    delete: (key) => {
      rows.removeSync(asBuffer(key));
    },
    revision,
    setRevision: (next) => put(meta, REVISION, encodeRevision(next)),
    setEphemeral(key, ephemeral) {
      const row = Buffer.concat([EPHEMERAL, key]);
      if (ephemeral) put(meta, row, Buffer.alloc(1));
      else meta.removeSync(row);
    },
  };
  return {
    engine: "lmdb",
    committed: snapshot,
    async commit(work) {
      surely -= 1;
      try {
        await root.transaction(() => work(writer));
      } catch (error) {
        throw await translate(error, options.path);
      }
      void keepReserve();
    },
    async giveRoom() {
      reserveAtMs = clock.monotonicMs();
      return await reserve.release();
    },
    assertRoom({ kept }) {
      // The library enlarges the map by itself, whatever size was set.
      if (options.mapSizeBytes === undefined || surely > 0) return;
      const { lastPageNumber, pageSize, free } = root.getStats() as EnvironmentStats;
      // The list of free pages, eight bytes each, tells how many there are, roughly.
      const freeBytes = free.overflowPages * (pageSize / 8) * pageSize;
      const keptBytes = kept ? Math.min(MOST_KEPT_BYTES, options.mapSizeBytes / 16) : 0;
      const roomBytes = options.mapSizeBytes - (lastPageNumber * pageSize - freeBytes);
      surely = Math.floor(roomBytes / (2 * BUDGET.sizeBytes + MOST_PAGES_A_WRITE * pageSize * BUDGET.writes));
      if (roomBytes + keptBytes > 0) return;
      throw new GfsError(
        "NoSpace",
        "The catalog has reached the size that coordinator.kv.map_size allows; raise it and restart.",
        {
          op: "kv.transact",
        },
      );
    },
    revision,
    hold: () => holdSnapshot(root, rows, meta),
    stats() {
      const { entryCount } = rows.getStats() as { entryCount: number };
      const { lastPageNumber, pageSize } = root.getStats() as EnvironmentStats;
      return { entries: entryCount, sizeBytes: lastPageNumber * pageSize };
    },
    ephemeralKeys: () =>
      readRange(meta, { start: EPHEMERAL, end: afterEphemeral(), limit: 10_000 }).map(({ key }) => key),
    async close() {
      await root.close();
      await reserve.close();
      await unlock();
    },
  };
}

function afterEphemeral(): Buffer {
  const end = Buffer.from(EPHEMERAL);
  end[end.length - 1] = 1;
  return end;
}

/** A catalog that a newer release wrote is left alone. */
async function checkFormat(root: RootDatabase, meta: Rows, where: string): Promise<void> {
  const found = meta.getBinary(FORMAT_KEY)?.readUInt32BE(0);
  if (found === undefined) {
    await root.transaction(() => put(meta, FORMAT_KEY, Buffer.from([0, 0, 0, FORMAT])));
  } else if (found !== FORMAT) {
    await root.close();
    throw new GfsError(
      "ConfigInvalid",
      `The catalog at ${where} has format ${found} and this release reads format ${FORMAT}; use the release that wrote it.`,
    );
  }
}

/** Leases do not outlive the process that held them. */
async function removeEphemeral(table: LmdbTable): Promise<void> {
  for (let keys = table.ephemeralKeys(); keys.length > 0; keys = table.ephemeralKeys()) {
    const page = keys;
    await commitInKeptRoom(table, (writer) => {
      for (const row of page) {
        const key = row.subarray(EPHEMERAL.length);
        writer.delete(key);
        writer.setEphemeral(key, false);
      }
      writer.setRevision(writer.revision() + 1);
    });
  }
}

/** Inside a transaction a synchronous put joins it. */
function put(rows: Rows, key: Key, value: Value): void {
  rows.putSync(asBuffer(key), asBuffer(value));
}

/** Those on the way to a row, in the tree of rows and in that of free pages. */
const MOST_PAGES_A_WRITE = 16;
/** Beyond the size that was set: for deletes, and for finishing what was begun. */
const MOST_KEPT_BYTES = 64 * 1024 ** 2;
const MAP_FULL = -30_792;
const NEARLY_FULL_BYTES = 1024 ** 2;

/**
 * A commit that the disk refused says so only in a promise beside the error; and a write cut short by a full disk comes back as a bare
 * input/output error, so the disk itself is asked.
 */
async function translate(error: unknown, directory: string): Promise<unknown> {
  const beside = (error as { commitError?: unknown }).commitError;
  let cause = error;
  try {
    await beside;
  } catch (reason) {
    cause = reason;
  }
  const { code, message } = cause as { code?: unknown; message?: string };
  const full = code === MAP_FULL || /MDB_MAP_FULL|No space left/i.test(String(message)) || (await isFull(directory));
  if (!full)
    return new GfsError("Unavailable", `The catalog could not be written: ${String(message)}.`, {
      op: "kv.transact",
      cause,
    });
  return new GfsError(
    "NoSpace",
    "The disk that holds the catalog is full; free some space or move coordinator.data_dir.",
    {
      op: "kv.transact",
      cause,
    },
  );
}

async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < NEARLY_FULL_BYTES;
}
