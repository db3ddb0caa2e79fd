import type { Consistency } from "../core/consistency.ts";
import type { SiteName } from "../core/ids.ts";
import type { Site, SiteRole } from "../stores/site.ts";

export type Operation = "read" | "write" | "delete";

/**
 * When what replaces an object comes under its path at the sites. before-ack: before the write is answered, where that goes well at once. soon: by a job.
 * never: it stays under a key of its own.
 */
export type Publishing = "before-ack" | "soon" | "never";

/** One line of policy, as the configuration has it. */
export interface Rule {
  readonly name: string;
  /** Glob (`*` within a component, `**` across), prefix ending in `/`, or exact key. */
  readonly keyPattern: string;
  /** Empty: all. */
  readonly operations: readonly Operation[];
  /** Empty: all. */
  readonly targetRoles: readonly SiteRole[];
  /** Lower goes first; equal ones in the order they were written. */
  readonly priority: number;
  /** Absent: soon. */
  readonly publish?: Publishing;
  /** Absent: close-to-open. */
  readonly consistency?: Consistency;
}

/** Why sites stand in the order they do; `explain` shows it. */
export interface Route {
  readonly operation: Operation;
  /** The rule that matched; absent: the default order. */
  readonly rule?: string;
  /** Best first. Reads go down the list; unhealthy sites stand last, sites with an open breaker are left out. */
  readonly sites: readonly Site[];
  /** Sites that were left out, each with one sentence. */
  readonly skipped: readonly { readonly site: SiteName; readonly reason: string }[];
}

/** Where a write goes. `required` may not fail; `following` get a replicate job each. */
export interface WritePlan {
  readonly rule?: string;
  readonly required: readonly Site[];
  readonly following: readonly Site[];
  readonly publish: Publishing;
  readonly consistency: Consistency;
}

export interface SiteHealth {
  readonly healthy: boolean;
  /** One sentence, when not healthy. */
  readonly error?: string;
  readonly checkedAtMs: number;
  /** A read has found it away since, and it is being asked again: until it answers others are read first. */
  readonly doubted?: true;
}
