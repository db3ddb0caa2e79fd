/** Where bytes go: rules, routing, health, ranking. */
export type * from "./types.ts";
export { createHealthMonitor, type HealthConfig, type HealthMonitor } from "./health.ts";
export { createLatencyTracker, type LatencyTracker } from "./latency.ts";
export { compilePattern } from "./pattern.ts";
export { createRouter, type Router } from "./router.ts";
export { checkSiteName, createSiteRegistry, type SiteRegistry } from "./site-registry.ts";
