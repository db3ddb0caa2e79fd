import { type GfsError, isGfsError } from "../core/errors.ts";
import type { Site } from "../stores/index.ts";
import type { Parts } from "./parts.ts";

/**
 * A site that does not answer a read is asked at once whether it is well, not only when its time comes; and until it answers others are read first, in
 * all processes. So one read waits for it, and not all of them.
 */
export function doubtSite(parts: Parts, site: Site, failure: GfsError): void {
  if (isGfsError(failure, "Unavailable", "Timeout")) askAgain(parts, site);
}

export function askAgain(parts: Parts, site: Site): void {
  if (!parts.health.doubt(site)) return;
  if (parts.passOnDoubt === undefined) void parts.health.checkNow(site);
  else parts.passOnDoubt(site.name);
}
