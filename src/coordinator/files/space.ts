import type { Ctx } from "../../core/context.ts";
import { isGfsError, toGfsError } from "../../core/errors.ts";
import type { Inode } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { pathOf, posix, type Quota } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import type { SiteSpace, TreeSpace } from "../service/service.ts";

/** How much is there, and how much may still come: by the quota, and by the disks that have to take it. */
export async function treeSpace(kit: Kit, ctx: Ctx, inode: Inode): Promise<TreeSpace> {
  const { quota, path } = await readCatalog(kit.kv, function* (tx): Program<{ quota: Quota; path: string }> {
    return { quota: yield* posix.statfs(tx, inode), path: (yield* pathOf(tx, inode)) ?? "" };
  });
  const required = new Set(kit.router.planWrite(path).required);
  const sites = await Promise.all(
    kit.sites.list().map(async (site) => await spaceOf(kit, ctx, site, required.has(site))),
  );
  const { used, maxBytes, maxInodes } = quota;
  const limits = sites.filter((site) => site.required).map(({ freeBytes }) => freeBytes);
  if (maxBytes !== undefined) limits.push(Math.max(0, maxBytes - used.sizeBytes - used.olderBytes));
  const known = limits.filter((limit) => limit !== undefined);
  return {
    used: { bytes: used.sizeBytes, inodes: used.inodes, olderBytes: used.olderBytes },
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxInodes === undefined ? {} : { maxInodes, leftInodes: Math.max(0, maxInodes - used.inodes) }),
    ...(known.length === 0 ? {} : { leftBytes: Math.min(...known) }),
    sites,
  };
}

async function spaceOf(kit: Kit, ctx: Ctx, site: Site, required: boolean): Promise<SiteSpace> {
  const about = { site: site.name, role: site.role, required };
  if (site.store.space === undefined) return about;
  if (kit.router.circuitOf(site) === "open") return { ...about, error: "The site failed too often just now." };
  try {
    return { ...about, ...(await site.store.space(ctx)) };
  } catch (error) {
    if (isGfsError(error, "Canceled")) throw error;
    return { ...about, error: toGfsError(error).message };
  }
}
