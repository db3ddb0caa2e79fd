/** A figure of ours beside one of something a reader can run, from the same run. */
export interface Comparison {
  readonly what: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly peer: string;
  readonly theirs: readonly number[];
  /** The ratio ours/theirs has to reach. */
  readonly goal?: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Rounds alternate between the two sides, so that a machine that slows down slows both. */
export function printComparison(comparison: Comparison): void {
  const ours = median(comparison.ours);
  const theirs = median(comparison.theirs);
  const ratio = ours / theirs;
  const goal =
    comparison.goal === undefined ? "" : `  goal ${comparison.goal}x ${ratio >= comparison.goal ? "met" : "MISSED"}`;
  console.log(
    `${comparison.what.padEnd(44)} ${format(ours)} ${comparison.unit}   ${comparison.peer} ${format(theirs)} ${comparison.unit}   ratio ${ratio.toFixed(2)}x${goal}`,
  );
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
