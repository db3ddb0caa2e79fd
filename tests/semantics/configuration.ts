import type { FlakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import type { RigSite } from "../../src/coordinator/testing/rig.ts";
import type { Clock } from "../../src/core/ports/clock.ts";
import { noMetrics } from "../../src/core/ports/metrics.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { type SiteRole, stackLayers, type Store } from "../../src/stores/index.ts";

/** What operators choose between. A guarantee holds however they choose. */
export interface Configuration {
  readonly cache: boolean;
  /** At least so many. A test that needs two names them itself. */
  readonly primaries: 1 | 3;
  /** The breaker of a site, and with it that reads are tried again. */
  readonly breaker: boolean;
}

/** What a setting has when nobody asks for another. */
export const PLAIN: Configuration = { cache: true, primaries: 1, breaker: false };

/** So long a cache keeps what it has, and an open breaker keeps everybody away. */
export const AWHILE_MS = 10_000;

const CACHE_BYTES = 32 * 1024 ** 2;
const VERIFY_MAX_BYTES = 64 * 1024 ** 2;

export function cacheOf({ cache }: Configuration): { readonly maxBytes: number; readonly ttlMs: number } {
  return cache ? { maxBytes: CACHE_BYTES, ttlMs: AWHILE_MS } : { maxBytes: 1, ttlMs: 0 };
}

/** Those that the test named, and after them as many primaries as are still missing. */
export function withPrimaries<Name extends string>(
  roles: Readonly<Record<Name, SiteRole>>,
  { primaries }: Configuration,
): readonly (readonly [name: Name, role: SiteRole])[] {
  const named = Object.entries<SiteRole>(roles) as [Name, SiteRole][];
  const missing = Math.max(0, primaries - named.filter(([, role]) => role === "primary").length);
  const more = Array.from(
    { length: missing },
    (_, index) => [`more-${index + 1}` as Name, "primary" as const] as const,
  );
  return [...named, ...more];
}

/** The layers that a daemon puts on. What is tried again is so at once: time is the test's. */
export function layered(
  name: string,
  store: FlakyStore,
  { breaker }: Configuration,
  clock: Clock,
): Pick<RigSite, "circuit"> & { readonly store: Store } {
  return stackLayers(
    store,
    {
      site: name,
      verifyMaxBytes: VERIFY_MAX_BYTES,
      ...(breaker
        ? {
            breaker: { threshold: 5, cooldownMs: AWHILE_MS },
            retry: { maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 2, multiplier: 2 },
          }
        : {}),
    },
    { clock: { ...clock, sleep: async () => undefined }, random: seededRandom(1), metrics: noMetrics },
  );
}
