import { GfsError } from "../../core/errors.ts";
import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import {
  checkPath,
  findDirectory,
  posix,
  type Quota,
  type QuotaLimits,
  readQuota,
  usageBelow,
} from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import type { DirectoryUsage } from "../service/service.ts";

/** What lies below a directory, and how much may. */

export async function usageAt(kit: Kit, path: string): Promise<DirectoryUsage> {
  return await kit.kv.view(function* (tx): Program<DirectoryUsage> {
    const inode = yield* directoryAt(tx, path);
    const quota = yield* readQuota(tx, inode);
    return shown(path, quota ?? { used: yield* usageBelow(tx, inode) });
  });
}

export async function setQuota(kit: Kit, path: string, limits: QuotaLimits): Promise<DirectoryUsage> {
  kit.assertCatalogSpace();
  return await kit.kv.transact(function* (tx): Program<DirectoryUsage> {
    return shown(path, yield* posix.setQuota(tx, yield* directoryAt(tx, path), limits));
  });
}

/** Of a directory without one nothing is to be done. */
export async function clearQuota(kit: Kit, path: string): Promise<void> {
  await kit.kv.transact(function* (tx): Program<void> {
    yield* posix.clearQuota(tx, yield* directoryAt(tx, path));
  });
}

function* directoryAt(tx: Reader, path: string): Program<Inode> {
  const bare = path.replace(/\/$/, "");
  if (bare === "") return ROOT_INODE;
  checkPath(bare);
  const found = yield* findDirectory(tx, bare);
  if (found !== undefined) return found.inode;
  throw new GfsError("NotFound", `There is no directory ${bare} in the catalog.`, { op: "coordinator.quota" });
}

function shown(path: string, { used, maxBytes, maxInodes }: Quota): DirectoryUsage {
  return {
    path: path.replace(/\/$/, ""),
    bytes: used.sizeBytes,
    inodes: used.inodes,
    olderBytes: used.olderBytes,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxInodes === undefined ? {} : { maxInodes }),
  };
}
