import { isGfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { StoreLayer } from "../store.ts";
import { aroundCalls, CALLS, delegateStaged, delegateStore, TRANSFERS } from "./delegate.ts";

const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface MetricsLayerDeps {
  readonly site: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** How long the first answer of a small call took; what sites are ranked by. */
  readonly onLatency?: (latencyMs: number) => void;
}

const MEASURES_LATENCY = new Set(["head", "get"]);
/** A call that was given up early says nothing of how fast the site is. */
const ANSWERED = new Set(["success", "not_found"]);

/** Counts and times every operation of a site. A `get` ends with its headers; bytes are counted as they pass. */
export function metricsLayer({ site, metrics, clock, onLatency }: MetricsLayerDeps): StoreLayer {
  const requests = metrics.counter({
    name: "globalfs_site_requests_total",
    help: "Operations at sites by operation and status.",
    labels: ["site", "operation", "status"],
  });
  const duration = metrics.histogram({
    name: "globalfs_site_request_duration_seconds",
    help: "How long sites took to answer.",
    labels: ["site", "operation"],
    buckets: BUCKETS_SECONDS,
  });
  const bytes = metrics.counter({
    name: "globalfs_site_bytes_total",
    help: "Bytes read from and written to sites.",
    labels: ["site", "direction"],
  });
  const measure = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const startedMs = clock.monotonicMs();
    const end = (status: string): void => {
      const elapsedMs = clock.monotonicMs() - startedMs;
      requests.add(1, { site, operation, status });
      duration.observe(elapsedMs / 1_000, { site, operation });
      if (ANSWERED.has(status) && MEASURES_LATENCY.has(operation)) onLatency?.(elapsedMs);
    };
    try {
      const result = await call();
      end("success");
      return result;
    } catch (error) {
      end(statusOf(error));
      throw error;
    }
  };
  return (inner) =>
    delegateStore(inner, {
      ...aroundCalls(inner, [...CALLS, ...TRANSFERS], (operation, args, call) => measure(operation, () => call(args))),
      check: (ctx) => measure("check", () => inner.check(ctx)),
      async get(ctx, key, options) {
        const body = await measure("get", () => inner.get(ctx, key, options));
        const counted = async function* (): AsyncGenerator<Uint8Array> {
          for await (const chunk of body.stream) {
            bytes.add(chunk.byteLength, { site, direction: "read" });
            yield chunk;
          }
        };
        return { ...body, stream: counted() };
      },
      async stage(ctx, key, options) {
        const staged = await inner.stage(ctx, key, options);
        return delegateStaged(staged, {
          async write(chunk) {
            await staged.write(chunk);
            bytes.add(chunk.byteLength, { site, direction: "written" });
          },
          commit: (commitCtx, conditions) => measure("put", () => staged.commit(commitCtx, conditions)),
        });
      },
    });
}

function statusOf(error: unknown): string {
  if (isGfsError(error, "NotFound")) return "not_found";
  if (isGfsError(error, "Canceled")) return "canceled";
  return toGfsError(error).meaning.http >= 500 ? "error" : "refused";
}
