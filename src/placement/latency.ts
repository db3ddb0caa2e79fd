import type { SiteName } from "../core/ids.ts";
import type { Site } from "../stores/index.ts";

/** How fast sites answer, smoothed, and put in steps so that equals do not change places with every request. */
export interface LatencyTracker {
  /** What the operator said of a site's line: where measuring begins. */
  expect(site: SiteName, latencyMs: number): void;
  observe(site: SiteName, latencyMs: number): void;
  /** Undefined until something was measured. */
  latencyOf(site: SiteName): number | undefined;
  /** Lower is faster; sites of one step count as equal. */
  stepOf(site: Site): number;
}

const WEIGHT = 0.2;
/** A site changes its step only when it is this far beyond the border. */
const HYSTERESIS = 0.25;

interface Measured {
  latencyMs: number;
  step: number;
}

export function createLatencyTracker(): LatencyTracker {
  const measured = new Map<SiteName, Measured>();
  return {
    expect(site, latencyMs) {
      measured.set(site, { latencyMs, step: Math.round(scale(latencyMs)) });
    },
    observe(site, latencyMs) {
      const before = measured.get(site);
      if (before === undefined) {
        this.expect(site, latencyMs);
        return;
      }
      before.latencyMs += (latencyMs - before.latencyMs) * WEIGHT;
      const exact = scale(before.latencyMs);
      if (Math.abs(exact - before.step) > 0.5 + HYSTERESIS) before.step = Math.round(exact);
    },
    latencyOf: (site) => measured.get(site)?.latencyMs,
    stepOf: (site) => measured.get(site.name)?.step ?? 0,
  };
}

/** Each step is twice as slow; below a millisecond all are equal. */
function scale(latencyMs: number): number {
  return Math.log2(Math.max(1, latencyMs));
}
