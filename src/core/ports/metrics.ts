/**
 * Metrics as a port. A room asks for its instruments once, when it is created, and keeps them; asking twice for the same
 * name returns the same instrument. Label values must come from small closed sets (sites, operations, codes), never from keys.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
  add(amount: number, labels?: Labels): void;
  /** Forgets the series with these labels, such as those of a removed site. */
  remove(labels: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

export interface InstrumentSpec {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** What several processes that say the same of one thing make together; absent: each has its own share, and they are added up. */
  readonly combine?: "largest" | "smallest";
}

export interface Metrics {
  counter(spec: InstrumentSpec): Counter;
  gauge(spec: InstrumentSpec): Gauge;
  histogram(spec: InstrumentSpec & { readonly buckets: readonly number[] }): Histogram;
}

const nothing = (): void => undefined;

/** For tests and tools that do not look at metrics. */
export const noMetrics: Metrics = {
  counter: () => ({ add: nothing }),
  gauge: () => ({ set: nothing, add: nothing, remove: nothing }),
  histogram: () => ({ observe: nothing }),
};
