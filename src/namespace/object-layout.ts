import type { VersionId } from "../core/ids.ts";

/** Where GlobalFS keeps its own objects at a site: below a name that no path begins with. */

export const OWN_PREFIX = ".globalfs/";
export const LANDED_PREFIX = ".globalfs/landed/";
export const VERSIONS_PREFIX = ".globalfs/versions/";
export const SET_ASIDE_PREFIX = ".globalfs/set-aside/";

/** Of an object under a key of our own. */
export function versionIdOf(key: string): VersionId | undefined {
  return /^[0-9A-Z]{26}(?=-)/.exec(key.slice(key.lastIndexOf("/") + 1))?.[0] as VersionId | undefined;
}
