import client from "prom-client";
import type { InstrumentSpec, Metrics } from "../core/ports/metrics.ts";

export interface MetricsRegistry extends Metrics {
  /** The Prometheus text format. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Instruments in a registry of their own, so that several systems in one process do not mix. */
export function createMetrics(options: { readonly processMetrics: boolean }): MetricsRegistry {
  const registry = new client.Registry();
  if (options.processMetrics) client.collectDefaultMetrics({ register: registry });
  const once = <T>(spec: InstrumentSpec, make: () => T): T => {
    const existing = registry.getSingleMetric(spec.name);
    return existing === undefined ? make() : (existing as T);
  };
  const base = (spec: InstrumentSpec): { name: string; help: string; labelNames: string[]; registers: client.Registry[] } => ({
    name: spec.name,
    help: spec.help,
    labelNames: [...(spec.labels ?? [])],
    registers: [registry],
  });
  return {
    counter(spec) {
      const counter = once(spec, () => new client.Counter(base(spec)));
      return { add: (amount, labels) => (labels === undefined ? counter.inc(amount) : counter.inc(labels, amount)) };
    },
    gauge(spec) {
      const gauge = once(spec, () => new client.Gauge(base(spec)));
      return {
        set: (value, labels) => (labels === undefined ? gauge.set(value) : gauge.set(labels, value)),
        add: (amount, labels) => (labels === undefined ? gauge.inc(amount) : gauge.inc(labels, amount)),
        remove: (labels) => gauge.remove(labels),
      };
    },
    histogram(spec) {
      const histogram = once(spec, () => new client.Histogram({ ...base(spec), buckets: [...spec.buckets] }));
      return { observe: (value, labels) => (labels === undefined ? histogram.observe(value) : histogram.observe(labels, value)) };
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
