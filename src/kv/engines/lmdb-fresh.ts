import { access, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { GfsError } from "../../core/errors.ts";
import type { Kv } from "../kv.ts";
import { lockDirectory } from "./directory-lock.ts";
import { openLmdbKv } from "./lmdb.ts";
import { syncDirectory } from "./lmdb-files.ts";
import { CATALOG_FILE } from "./lmdb-rows.ts";

/** Inside the catalog's directory, so that it is on the same disk. */
const UNFINISHED = "catalog.unfinished";

export interface FreshCatalog<T> {
  readonly directory: string;
  /** Goes on with what an earlier attempt has made; else that is thrown away. */
  readonly resume?: boolean;
  /** Revisions are higher than this from the beginning. */
  readonly leastRevision?: number;
  /** Fills it. What it throws leaves no catalog behind, only what another attempt may go on with. */
  fill(kv: Kv): Promise<T>;
  /** Revisions of the catalog go on from here. */
  revisionOf?(filled: T): number;
}

/** A catalog that is there as a whole or not at all: it is made aside, and gets its name at the end. One that is there already is never touched. */
export async function makeLmdbCatalog<T>(fresh: FreshCatalog<T>): Promise<T> {
  const { directory } = fresh;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unlock = await lockDirectory(directory);
  try {
    const place = path.join(directory, CATALOG_FILE);
    if (await exists(place))
      throw new GfsError(
        "AlreadyExists",
        `There is a catalog at ${place}; name a directory without one, or move that file away first.`,
        { op: "kv.make" },
      );
    const unfinished = path.join(directory, UNFINISHED);
    if (fresh.resume !== true) await rm(unfinished, { recursive: true, force: true });
    const filled = await withCatalog(
      { path: unfinished, leastRevision: fresh.leastRevision ?? 0 },
      async (kv) => await fresh.fill(kv),
    );
    const leastRevision = fresh.revisionOf?.(filled) ?? 0;
    await withCatalog({ path: unfinished, leastRevision }, async () => undefined);
    await rename(path.join(unfinished, CATALOG_FILE), place);
    await syncDirectory(directory);
    await rm(unfinished, { recursive: true, force: true });
    return filled;
  } finally {
    await unlock();
  }
}

async function withCatalog<T>(options: Parameters<typeof openLmdbKv>[0], work: (kv: Kv) => Promise<T>): Promise<T> {
  const kv = await openLmdbKv(options);
  try {
    return await work(kv);
  } finally {
    await kv.close();
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
