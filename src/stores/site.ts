import type { SiteName } from "../core/ids.ts";
import type { Store } from "./store.ts";

/** primary: authoritative, written synchronously. burst: cloud overflow, replicated to. backup: read when nothing else has it. */
export type SiteRole = "primary" | "backup" | "burst";

export const SITE_ROLES: readonly SiteRole[] = ["primary", "backup", "burst"];

/**
 * Objects that GlobalFS did not write. `merge`: they show in listings and are adopted when read. `import`: they are adopted once, all of them, and from then on
 * only the catalog counts. `ignore`: only the catalog counts.
 */
export type ForeignPolicy = "merge" | "import" | "ignore";

export type BreakerState = "closed" | "open" | "half-open";

/** A named place that stores data, as the rooms above see it. */
export interface Site {
  readonly name: SiteName;
  readonly role: SiteRole;
  /** With all its layers on. */
  readonly store: Store;
  readonly foreign: ForeignPolicy;
  /** How long a listing of one of its directories is believed: others may write there meanwhile. Absent: not at all. */
  readonly listingStandsMs?: number;
  /** What the operator said of the line to this site; where measuring its latency begins. */
  readonly network?: { readonly bandwidthBytesPerSecond?: number; readonly latencyMs?: number };
  /** The state of the site's breaker; absent when none is configured. */
  readonly circuit?: () => BreakerState;
  /** What answers at the site's address is the site from now on, also when it is another disk or bucket than before. */
  readonly adopt?: () => Promise<void>;
  /** A label a person recognises, such as `s3://bucket` or `file:///data`; no secrets. */
  readonly label: string;
}

/** The sites of this moment. Sites come and go at run time, so nobody keeps a list across an await. */
export interface SiteDirectory {
  /** Undefined once the site was removed. */
  find(name: SiteName): Site | undefined;
  /** In the order they were configured. */
  list(): readonly Site[];
}
