import type { FilePath, VersionId } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { type FileRecord, findOwner } from "../namespace/index.ts";
import type { Site } from "../stores/index.ts";

/** Under which key a version's object goes at each site. */

export interface Target {
  readonly site: Site;
  readonly objectKey: string;
}

export interface KeyChoice {
  readonly path: FilePath;
  readonly sites: readonly Site[];
  /** The file that the write replaces. */
  readonly owner: FileRecord | undefined;
  readonly versionId: VersionId;
}

/**
 * The object's key is the file's path, unless a renamed file's object still sits there: then a key of its own, which a relocate job
 * mends once the place is free.
 */
export function* chooseKeys(tx: Reader, choice: KeyChoice): Program<Target[]> {
  const targets: Target[] = [];
  for (const site of choice.sites) {
    const owner = yield* findOwner(tx, site.name, choice.path);
    const taken = owner !== undefined && owner.inode !== choice.owner?.inode;
    targets.push({ site, objectKey: taken ? displacedKey(choice.path, choice.versionId) : choice.path });
  }
  return targets;
}

export const DISPLACED_PREFIX = ".globalfs/displaced/";

/** Fits in 1,024 bytes and cannot be a path of the namespace, where `.globalfs` is reserved. */
export function displacedKey(path: FilePath, versionId: VersionId): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return `${DISPLACED_PREFIX}${versionId}-${Buffer.byteLength(name) > 200 ? "object" : name}`;
}
