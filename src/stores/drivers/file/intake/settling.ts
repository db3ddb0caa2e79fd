import { randomBytes } from "node:crypto";
import type { Disk } from "../../../../core/ports/disk.ts";
import { errnoOf } from "../failures.ts";
import { isSegment, readHeader } from "./segment.ts";

/** Locked by whoever notes changes, alone. */
export const OWNER = "owner";
/** Locked by all others who change the site, together. */
export const GUESTS = "guests";

/**
 * Takes away all segments of a site whose disk has held their files ever since: what they speak of is made durable at once. Their owner, who may be at
 * work, finds its segment gone after each change; what was changed before it went is covered by the flush, which begins only then.
 */
export async function settleSegments(disk: Disk, directory: string, flushes: "what they say" | "all"): Promise<void> {
  const taken: string[] = [];
  for (const { name } of await disk.readDirectory(directory)) {
    if (!isSegment(name)) continue;
    if (name.startsWith("closing-")) taken.push(`${directory}/${name}`);
    else {
      const path = `${directory}/closing-${randomBytes(6).toString("hex")}-${name}`;
      await disk.rename(`${directory}/${name}`, path).then(() => taken.push(path), ignoreAbsent);
    }
  }
  // Whoever has taken them before may have flushed before the last change.
  if (taken.length === 0 && flushes === "what they say") return;
  await syncAll(disk, directory);
  await removeSegments(disk, directory, taken);
}

async function syncAll(disk: Disk, directory: string): Promise<void> {
  const file = await disk.open(`${directory}/${OWNER}`, "read");
  try {
    await file.syncFileSystem();
  } finally {
    await file.close();
  }
}

/** Durably, so that none of them counts once more. */
export async function removeSegments(disk: Disk, directory: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await disk.unlink(path).catch(ignoreAbsent);
  await disk.syncDirectory(directory);
}

/** Paths of those that say something. */
export async function openSegments(disk: Disk, directory: string): Promise<string[]> {
  const paths: string[] = [];
  for (const { name } of await disk.readDirectory(directory).catch(nothingThere)) {
    if (!isSegment(name)) continue;
    const file = await disk.open(`${directory}/${name}`, "read").catch(ignoreAbsent);
    if (file === undefined) continue;
    try {
      const header = await readHeader(file);
      if (header !== undefined && header.state !== "closed") paths.push(`${directory}/${name}`);
    } finally {
      await file.close();
    }
  }
  return paths;
}

function ignoreAbsent(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
  return undefined;
}

function nothingThere(error: unknown): [] {
  if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
  throw error;
}
