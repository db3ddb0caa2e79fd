import type { SiteName } from "../../core/ids.ts";
import { decodeKey, encodeKey, type Key, tail } from "../../kv/index.ts";
import {
  isNameable,
  LANDED_PREFIX,
  OWN_PREFIX,
  SET_ASIDE_PREFIX,
  versionIdOf,
  VERSIONS_PREFIX,
} from "../../namespace/index.ts";
import type { ObjectInfo } from "../../stores/index.ts";

/**
 * What sites were found to hold, in rows of the catalog that is being made: once by where it lies, and once by the path that it is a version of, in the order
 * in which the versions were written. So several sites become one tree, however large, and an interrupted rebuild goes on. They go before the catalog is used.
 */

const FOUND = "rebuild-found";
const OBJECT = "rebuild-object";
const STATE = "rebuild-state";

export const foundSpace = encodeKey(FOUND);
export const objectSpace = encodeKey(OBJECT);
export const stateSpace = encodeKey(STATE);

export interface FoundPlace {
  readonly path: string;
  /** Sorts as the versions of the path were written; equal at all sites for one version. */
  readonly order: string;
  readonly site: SiteName;
  readonly key: string;
}

/** The path is the key of most objects. */
const SAME = "";

export function foundKey({ path, order, site, key }: FoundPlace): Key {
  return encodeKey(FOUND, path, order, site, tail(key === path ? SAME : key));
}

export function readFoundKey(bytes: Key): FoundPlace {
  const [path, order, site, key] = decodeKey(bytes, ["string", "string", "string", "tail"]) as [
    string,
    string,
    SiteName,
    string,
  ];
  return { path, order, site, key: key === SAME ? path : key };
}

export function objectKey(site: SiteName, key: string): Key {
  return encodeKey(OBJECT, site, tail(key));
}

export function encodeObject(object: ObjectInfo): Buffer {
  const { key: _, ...info } = object;
  return Buffer.from(JSON.stringify(info));
}

export function decodeObject(key: string, bytes: Uint8Array): ObjectInfo {
  return { ...(JSON.parse(Buffer.from(bytes).toString()) as Omit<ObjectInfo, "key">), key };
}

export function stateKey(site: string): Key {
  return encodeKey(STATE, tail(site));
}

export const LOST = "lost+found/";
const VERSION_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Where an object belongs; undefined for what is no file's: markers, backups, probes. `refused`: no path can name it. */
export function placeOf(site: SiteName, info: ObjectInfo): FoundPlace | "refused" | undefined {
  const { key } = info;
  const order = orderOf(info);
  if (!key.startsWith(OWN_PREFIX)) {
    if (key.startsWith(".globalfs-uploads/")) return undefined;
    return isNameable(key) ? { path: key, order, site, key } : "refused";
  }
  if (key.startsWith(SET_ASIDE_PREFIX))
    return { path: lostPath(site, key.slice(SET_ASIDE_PREFIX.length)), order, site, key };
  if (!key.startsWith(LANDED_PREFIX) && !key.startsWith(VERSIONS_PREFIX)) return undefined;
  return { path: pathIn(info) ?? lostPath(site, key.slice(key.lastIndexOf("/") + 1)), order, site, key };
}

/** What has no path of its own, or lost it to a newer version. */
export function lostPath(site: string, name: string): string {
  return `${LOST}${site}/${name}`;
}

function pathIn({ metadata }: ObjectInfo): string | undefined {
  try {
    const path = decodeURIComponent(metadata["globalfs-path"] ?? "");
    return isNameable(path) && !path.endsWith("/") ? path : undefined;
  } catch {
    return undefined;
  }
}

export function writtenId({ key, metadata }: ObjectInfo): string | undefined {
  const id = metadata["globalfs-version"] ?? (key.startsWith(OWN_PREFIX) ? versionIdOf(key) : undefined);
  return id !== undefined && VERSION_ID.test(id) ? id : undefined;
}

/** Ids of versions begin with their time; what another tool wrote goes by the site's. */
function orderOf(info: ObjectInfo): string {
  const id = writtenId(info);
  if (id !== undefined) return id;
  let time = "";
  for (let rest = Math.max(0, Math.floor(info.modifiedMs)), index = 0; index < 10; index++) {
    time = (DIGITS[rest % 32] as string) + time;
    rest = Math.floor(rest / 32);
  }
  return `${time}~${info.sha256 ?? info.etag}`;
}
