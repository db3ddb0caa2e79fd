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
  const found = await Promise.all(
    paths.map(async (path) => (path === undefined ? undefined : await fileAt(disk, path))),
  );
  return found.filter((each) => each !== undefined);
}

async function fileAt(disk: Disk, path: string): Promise<FoundFile | undefined> {
  try {
    const stat = await disk.stat(path);
    return stat.kind === "file" ? { path, stat } : undefined;
  } catch (error) {
    if (!ABSENT.has(errnoOf(error) ?? "")) throw error;
    return undefined;
  }
}
