import { type GfsError, isGfsError } from "../../core/errors.ts";
import type { Site } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";

/**
 * A site that does not answer a read is asked at once whether it is well, not only when its time comes; and until it answers others are read first, in
 * all processes. So one read waits for it, and not all of them.
 */
export function doubtSite(kit: Kit, site: Site, failure: GfsError): void {
  if (isGfsError(failure, "Unavailable", "Timeout")) askAgain(kit, site);
}

export function askAgain(kit: Kit, site: Site): void {
  if (!kit.health.doubt(site)) return;
  if (kit.passOnDoubt === undefined) void kit.health.checkNow(site);
  else kit.passOnDoubt(site.name);
}
