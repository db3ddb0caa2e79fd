// What this package wants to reach, as ratios to targets of the same run.
import { ratio } from "./figures.mjs";

const MEASURED = [
  ["stat", "passthrough", "bindfs", 0.9],
  ["stat, 4 clients", "passthrough", "bindfs", 0.9],
  ["open + read + close", "passthrough", "bindfs", 0.9],
  ["open + read + close, 4 clients", "passthrough", "bindfs", 0.9],
  ["create + write + close + unlink", "passthrough", "bindfs", 0.9],
  ["create + write + close + unlink, 4 clients", "passthrough", "bindfs", 0.9],
  ["sequential reads of 1 MiB, 1 thread", "passthrough", "local", 0.95],
  ["sequential reads of 1 MiB, 1 thread", "passthrough", "bindfs", 3],
  ["sequential reads of 1 MiB, 1 thread", "passthrough", "mergerfs", 3],
  ["sequential reads of 1 MiB, 1 thread", "without passthrough", "bindfs", 0.9],
  ["sequential reads of 1 MiB, 4 threads", "passthrough", "local", 0.95],
  ["cached reads of 4 KiB, 1 thread", "passthrough", "local", 0.95],
  ["cached reads of 4 KiB, 4 threads", "passthrough", "local", 0.95],
  ["reads of a mapping, 4 KiB", "passthrough", "local", 0.95],
  ["buffered writes of 1 MiB", "without passthrough", "bindfs", 0.9],
];

/** A line for each goal whose two targets were measured. */
export function goals(table) {
  const lines = [];
  for (const [workload, name, other, wanted] of MEASURED) {
    const row = table.find(({ title }) => title.replace(/ \([^)]*\)$/, "") === workload);
    const [results, others] = [row?.results[name], row?.results[other]];
    if (results === undefined || others === undefined) continue;
    const reached = ratio(results, others);
    const word = reached >= wanted ? "reached" : "missed";
    lines.push(`${word}: ${workload}, ${name}, is ${reached.toFixed(2)} of ${other} (wanted: ${wanted})`);
  }
  return lines;
}
