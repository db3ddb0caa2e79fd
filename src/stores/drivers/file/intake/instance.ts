import type { Disk, DiskStat } from "../../../../core/ports/disk.ts";
import { ABSENT, errnoOf } from "../failures.ts";

/** Names a file for as long as it is there, and never one that is given its inode later. */
export function instanceOf({ place, bornNs }: DiskStat): string {
  return `${place}/${bornNs}`;
}

export interface FoundFile {
  readonly path: string;
  readonly stat: DiskStat;
}

/** The files under these names, in their order. What is a link, a directory or a socket is no object. */
export async function filesAt(disk: Disk, paths: readonly (string | undefined)[]): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const path of paths) {
    if (path === undefined) continue;
    try {
      const stat = await disk.stat(path);
      if (stat.kind === "file") found.push({ path, stat });
    } catch (error) {
      if (!ABSENT.has(errnoOf(error) ?? "")) throw error;
    }
  }
  return found;
}
