import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import {
  decodeKey,
  encodeKey,
  prefixRange,
  type Program,
  type Reader,
  tail,
  type Transaction,
} from "../../kv/index.ts";
import type { Kit } from "../kit.ts";

/**
 * What is set aside takes room at a site that nobody has asked for, so that it is bounded in bytes: for each site the catalog adds up what is there, and
 * knows which of it is the oldest.
 */

const AGES = "coordinator-set-aside-age";
const BYTES = "coordinator-set-aside-bytes";
export const agesSpace = encodeKey(AGES);
export const bytesSpace = encodeKey(BYTES);
const DEFAULT_MAX_BYTES = 10 * 1024 ** 3;
/** An object takes a block and a row at least, so that empty ones are not without bound. */
const LEAST_BYTES = 4_096;

/** An object that was set aside, as far as room is concerned. */
export interface Occupant {
  readonly path: FilePath;
  readonly versionId: VersionId;
  readonly site: SiteName;
  readonly sizeBytes: number;
}

export function maxSetAsideBytes({ settings }: Pick<Kit, "settings">): number {
  return settings.maxSetAsideBytes ?? DEFAULT_MAX_BYTES;
}

export function takenBy({ sizeBytes }: Pick<Occupant, "sizeBytes">): number {
  return Math.max(sizeBytes, LEAST_BYTES);
}

export function* bytesAt(tx: Reader, site: SiteName): Program<number> {
  const value = yield* tx.get(encodeKey(BYTES, tail(site)));
  return value === undefined ? 0 : Number(Buffer.from(value).toString());
}

export function* moveIn(tx: Transaction, occupant: Occupant): Program<void> {
  const { path, site } = occupant;
  tx.put(ageKey(occupant), Buffer.from(path));
  setBytes(tx, site, (yield* bytesAt(tx, site)) + takenBy(occupant));
}

/** One from before room was counted takes none. */
export function* moveOut(tx: Transaction, occupant: Occupant): Program<void> {
  const key = ageKey(occupant);
  if ((yield* tx.get(key)) === undefined) return;
  tx.delete(key);
  setBytes(tx, occupant.site, (yield* bytesAt(tx, occupant.site)) - takenBy(occupant));
}

/** Their paths and ids, the oldest first. */
export function* oldestAt(tx: Reader, site: SiteName, limit: number): Program<Pick<Occupant, "path" | "versionId">[]> {
  const rows = yield* tx.range({ ...prefixRange(encodeKey(AGES, site)), limit });
  return rows.map(({ key, value }) => ({
    path: Buffer.from(value).toString() as FilePath,
    versionId: decodeKey(key, ["string", "tail"])[1] as VersionId,
  }));
}

/** The gauge tells what there is at each site. */
export async function reportSetAside(kit: Kit): Promise<void> {
  for (const { name: site } of kit.sites.list())
    kit.setAsideBytes.set(await kit.kv.view((tx) => bytesAt(tx, site)), { site });
}

/** At all sites together. */
export function* allSetAsideBytes(tx: Reader, sites: readonly SiteName[]): Program<number> {
  let sum = 0;
  for (const site of sites) sum += yield* bytesAt(tx, site);
  return sum;
}

export function ageKey({ site, versionId }: Pick<Occupant, "site" | "versionId">): Uint8Array {
  return encodeKey(AGES, site, tail(versionId));
}

function setBytes(tx: Transaction, site: SiteName, bytes: number): void {
  const key = encodeKey(BYTES, tail(site));
  if (bytes > 0) tx.put(key, Buffer.from(String(bytes)));
  else tx.delete(key);
}
