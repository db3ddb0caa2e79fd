/** Durable background work on bytes: replicate, remove, publish, repair, verify. */
export { createProof, createQuickProof, isProvable } from "./proof.ts";
export type * from "./types.ts";
export { LANDING_MS } from "./context.ts";
export type { BandwidthLimit, FoundOther, MoverConfig, MoverDeps } from "./context.ts";
export { enqueueJob, type Enqueue, hasJobs, markUnqueued, type MarkUnqueued } from "./jobs.ts";
export { publishArrived } from "./follow-ups.ts";
export { checkJobs } from "./check.ts";
export { describePause } from "./waiting.ts";
export { carryUnqueued } from "./unqueued.ts";
export { createMover } from "./mover.ts";
export type { Mover } from "./service.ts";
