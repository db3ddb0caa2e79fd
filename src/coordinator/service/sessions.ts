import type { Ctx } from "../../core/context.ts";
import type { LeaseStatus, SessionStatus } from "../../sessions/index.ts";

/** A lease or lock, as people see it. */
export interface PathLease extends LeaseStatus {
  /** Absent: the file has no name any more. */
  readonly path?: string;
  readonly host?: string;
}

export interface LeasePage {
  readonly leases: readonly PathLease[];
  /** There are more than one page shows. */
  readonly more: boolean;
}

/** Who caches what, and who may write and lock. */
export interface SessionService {
  listSessions(ctx: Ctx): Promise<readonly SessionStatus[]>;
  /** What sessions cover is known of those that this coordinator serves. Of a path: what is of it, and what its directory covers. `limit` 1 to 10,000. */
  listLeases(ctx: Ctx, query: { readonly path?: string; readonly limit: number }): Promise<LeasePage>;
  /** It gets nothing any more, and is over when it cannot trust what it has any longer. */
  evictSession(ctx: Ctx, session: string): Promise<void>;
}
