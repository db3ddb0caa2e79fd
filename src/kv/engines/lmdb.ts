import path from "node:path";
import type { RootDatabase } from "lmdb";
import { GfsError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { createEmbeddedKv, type EmbeddedDeps } from "../embedded.ts";
import { BUDGET, type Key, type Kv, type Value } from "../kv.ts";
import { findBootId } from "./boot.ts";
import { lockDirectory } from "./directory-lock.ts";
import { openDiskReserve } from "./disk-reserve.ts";
import { FileRoom } from "./file-room.ts";
import { FlushMarks, restoreFlushed } from "./flush-marks.ts";
import { inKeptRoom, type Table, type TableWriter } from "../table.ts";
import { translateFailure } from "./lmdb-failures.ts";
import { checkBeginning, closeToOthers, prepareDirectory, syncDirectory } from "./lmdb-files.ts";
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

/** One process, one directory: LMDB maps the file, so reads cost no system call. A commit is written in the turn that makes it, and flushed with others behind it. */
export interface LmdbOptions {
  readonly path: string;
  /** Once the file is this large and has no free pages, puts are refused; absent: it grows as far as the disk has room. */
  readonly mapSizeBytes?: number;
  /** Revisions go on from here at least: those of another catalog whose rows this one has. */
  readonly leastRevision?: number;
}

const RESERVE_FILE = "catalog.reserve";
const RESERVE_EVERY_MS = 60_000;
const EPHEMERAL = Buffer.from("ephemeral\0");
/** Without a flush, which has to be made before the next commit can rely on it. */
const COMMIT_ONLY: number = 0x1_00_02;
const COMMIT_AND_FLUSH: number = 2;
/** More commits than may stand undurable: revisions that power loss has undone are not given again. */
const REVISIONS_SKIPPED = 2 ** 20;

export interface LmdbDeps extends EmbeddedDeps {
  /** Absent: what the system tells. */
  readonly bootId?: string;
}

export async function openLmdbKv(options: LmdbOptions, deps: LmdbDeps = { clock: systemClock }): Promise<Kv> {
  const directory = options.path;
  await prepareDirectory(directory);
  const unlock = await lockDirectory(directory);
  try {
    // The library would make them as the process's mask lets it: the catalog is for this user alone. Only under the lock, because the library loses
    // locks of its own when this process closes such a file.
    for (const name of [CATALOG_FILE, `${CATALOG_FILE}-lock`]) await closeToOthers(path.join(directory, name));
    const table = await openTable(options, { ...deps, unlock });
    await removeEphemeral(table);
    const { leastRevision = 0 } = options;
    if (table.revision() < leastRevision) {
      table.write((writer) => writer.setRevision(leastRevision));
      await table.flush();
    }
    return createEmbeddedKv(table, deps);
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** What the library tells of its file. */
interface EnvironmentStats {
  readonly lastPageNumber: number;
  readonly pageSize: number;
  readonly free: { readonly overflowPages: number };
}

interface LmdbTable extends Table {
  readonly flush: () => Promise<void>;
  ephemeralKeys(): Key[];
}

async function openTable(
  options: LmdbOptions,
  { clock, unlock, bootId: givenBootId }: LmdbDeps & { readonly unlock: () => Promise<void> },
): Promise<LmdbTable> {
  const file = path.join(options.path, CATALOG_FILE);
  const bootId = givenBootId ?? (await findBootId());
  const hasLost = await restoreFlushed(file, bootId);
  // Loaded here so that commands that open no catalog do not pay for the native library.
  const { open: openEnvironment } = await import("lmdb");
  let root: RootDatabase;
  try {
    await checkBeginning(file, { mayBeEmpty: true });
    root = openEnvironment({
      path: file,
      noSubdir: true,
      maxDbs: 4,
      // Without a bound on the kept free list single commits become 20 times slower after large random transactions.
      maxFreeSpaceToRetain: 2_000,
      // The library's own way to flush behind a commit holds the caller of a synchronous one until the disk has it.
      overlappingSync: false,
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
  let revision = decodeRevision(meta.getBinary(REVISION));
  await syncDirectory(options.path);
  const { pageSize } = root.getStats() as EnvironmentStats;
  const marks = await FlushMarks.open(file, { pageBytes: pageSize, bootId });
  /** Keeps the pages of the durable state from being written over. */
  let pin: { done(): void } | undefined;
  const flush = async (): Promise<void> => {
    const next = root.useReadTransaction();
    try {
      await marks.flush(marks.headsNow());
    } catch (error) {
      next.done();
      throw error;
    }
    pin?.done();
    pin = next;
  };
  await flush();
  const reserve = await openDiskReserve(path.join(options.path, RESERVE_FILE));
  let reserveAtMs = clock.monotonicMs();
  const keepReserve = async (): Promise<void> => {
    if (!reserve.isShort || clock.monotonicMs() - reserveAtMs < RESERVE_EVERY_MS) return;
    reserveAtMs = clock.monotonicMs();
    await reserve.restore();
  };
  const lastPage = (): number => (root.getStats() as EnvironmentStats).lastPageNumber;
  const room = new FileRoom({ descriptor: marks.descriptor, pageBytes: pageSize, lastPage });
  /** What the commit that is being made has staged. */
  let staged = { writes: 0, sizeBytes: 0 };
  const stage = (sizeBytes: number): void => {
    staged.writes += 1;
    staged.sizeBytes += sizeBytes;
  };
  /** How many commits, however large, still fit into the room that was found: to look for each would take a good part of its time. */
  let surely = 0;
  const writer: TableWriter = {
    ...snapshot,
    put(key, value) {
      stage(key.byteLength + value.byteLength);
      put(rows, key, value);
    },
    delete(key) {
      stage(0);
      rows.removeSync(asBuffer(key));
    },
    revision: () => revision,
    setRevision: (next) => {
      revision = next;
    },
    setEphemeral(key, ephemeral) {
      const row = Buffer.concat([EPHEMERAL, key]);
      stage(row.byteLength);
      if (ephemeral) put(meta, row, Buffer.alloc(1));
      else meta.removeSync(row);
    },
  };
  const write = (work: (write: TableWriter) => void): void => {
    surely -= 1;
    const before = revision;
    staged = { writes: 0, sizeBytes: 0 };
    try {
      root.transactionSync(() => {
        work(writer);
        if (revision === before) return;
        put(meta, REVISION, encodeRevision(revision));
        room.ensure(staged);
      }, COMMIT_ONLY);
    } catch (error) {
      revision = before;
      throw translateFailure(error, options.path);
    }
    void keepReserve();
  };
  if (hasLost) {
    write(({ setRevision }) => setRevision(revision + REVISIONS_SKIPPED));
    await flush();
  }
  return {
    engine: "lmdb",
    committed: snapshot,
    write,
    flush,
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
    revision: () => revision,
    hold: () => holdSnapshot(root, rows, meta),
    stats() {
      const { entryCount } = rows.getStats() as { entryCount: number };
      const { lastPageNumber, pageSize } = root.getStats() as EnvironmentStats;
      return { entries: entryCount, sizeBytes: lastPageNumber * pageSize };
    },
    ephemeralKeys: () =>
      readRange(meta, { start: EPHEMERAL, end: afterEphemeral(), limit: 10_000 }).map(({ key }) => key),
    async close() {
      pin?.done();
      await root.close();
      try {
        await marks.close();
      } finally {
        await reserve.close();
        await unlock();
      }
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
    root.transactionSync(() => put(meta, FORMAT_KEY, Buffer.from([0, 0, 0, FORMAT])), COMMIT_AND_FLUSH);
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
    await inKeptRoom(table, () =>
      table.write((writer) => {
        for (const row of page) {
          const key = row.subarray(EPHEMERAL.length);
          writer.delete(key);
          writer.setEphemeral(key, false);
        }
        writer.setRevision(writer.revision() + 1);
      }),
    );
    await table.flush();
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
