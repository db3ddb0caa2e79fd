/** Who caches what, and who may write and lock: sessions, read coverage, write leases and locks. */
export type * from "./types.ts";
export { TO_THE_END } from "./types.ts";
export type { SessionsConfig, SessionsDeps } from "./office.ts";
export { coherentKv, type CoherentOptions, requireWriteLease } from "./coherent.ts";
export { Holder, type Learned } from "./holder.ts";
export {
  type CoverRequest,
  createSessions,
  type HeldLease,
  type LockHolder,
  type LockRequest,
  type OpenedSession,
  type Sessions,
  type Withholding,
} from "./sessions.ts";
export type { LeaseQuery, LeaseStatus, SessionStatus } from "./views.ts";
