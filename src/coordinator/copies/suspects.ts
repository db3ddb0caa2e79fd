import { LRUCache } from "lru-cache";
import type { SiteName, VersionId } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";

/** Copies that gave wrong bytes just now. Until a check has told what they are worth, they are read last. */
export interface Suspects {
  /** False when it was suspected already. */
  note(versionId: VersionId, site: SiteName): boolean;
  has(versionId: VersionId, site: SiteName): boolean;
}

const REMEMBERED = 4_096;
/** A check has long been made by then, or was lost. */
const SUSPECTED_MS = 60_000;

export function createSuspects(clock: Clock): Suspects {
  const untilMs = new LRUCache<string, number>({ max: REMEMBERED });
  const keyOf = (versionId: VersionId, site: SiteName): string => `${versionId} ${site}`;
  const has = (versionId: VersionId, site: SiteName): boolean =>
    (untilMs.get(keyOf(versionId, site)) ?? 0) > clock.monotonicMs();
  return {
    note(versionId, site) {
      if (has(versionId, site)) return false;
      untilMs.set(keyOf(versionId, site), clock.monotonicMs() + SUSPECTED_MS);
      return true;
    },
    has: (versionId, site) => untilMs.size > 0 && has(versionId, site),
  };
}
