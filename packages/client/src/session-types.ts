/** Clients that cache, and what they hold. */

/** A client that caches what it reads. */
export interface SessionStatus {
  readonly id: string;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly since: Date;
  /** The coordinator; absent: it is gone, and the session may come back. */
  readonly servedBy?: string;
  readonly ending?: "barred" | "ended";
  /** This and what follows are known where the coordinator that was asked serves it: how much it answers from without asking. */
  readonly covered?: number;
  /** Changes that it was told of and has not acknowledged. */
  readonly behind?: number;
  readonly trustedForMs?: number;
  /** Since when changes wait for it. */
  readonly waitedForSince?: Date;
}

export interface Lease {
  readonly inode: number;
  /** Absent: the file has no name any more. */
  readonly path?: string;
  readonly type: "read" | "write" | "flock" | "posix";
  readonly state: "held" | "waiting";
  readonly session: string;
  readonly host?: string;
  readonly owner?: string;
  readonly epoch?: number;
  readonly since?: Date;
  readonly spans?: readonly {
    readonly start: number;
    readonly end: number;
    readonly mode: "shared" | "exclusive";
  }[];
}

export interface LeasePage {
  readonly leases: readonly Lease[];
  /** There are more than these. */
  readonly more: boolean;
}
