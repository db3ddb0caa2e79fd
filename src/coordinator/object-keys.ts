import type { FilePath, VersionId } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { type FileRecord, findOwner, keepsVersions, rulesOf } from "../namespace/index.ts";
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
 * In a bucket that keeps versions every version has a key of its own, so that no bytes are ever overwritten. Elsewhere the object's key is the file's path, unless a renamed file's object
 * still sits there: then a key of its own, which a relocate job mends once the place is free.
 */
export function* chooseKeys(tx: Reader, choice: KeyChoice): Program<Target[]> {
  const targets: Target[] = [];
  if (choice.sites.length === 0) return targets;
  if (keepsVersions(yield* rulesOf(tx, choice.path))) {
    const objectKey = versionKey(choice.path, choice.versionId);
    return choice.sites.map((site) => ({ site, objectKey }));
  }
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
  return `${DISPLACED_PREFIX}${versionId}-${shortName(path)}`;
}

export const VERSIONS_PREFIX = ".globalfs/versions/";

/** Spread over directories by the end of the id, which is chance; its beginning is the time. */
export function versionKey(path: FilePath, versionId: VersionId): string {
  return `${VERSIONS_PREFIX}${versionId.slice(-2)}/${versionId}-${shortName(path)}`;
}

function shortName(path: FilePath): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return Buffer.byteLength(name) > 200 ? "object" : name;
}
