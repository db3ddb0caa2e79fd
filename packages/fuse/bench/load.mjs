// node load.mjs WORKLOAD DIR SECONDS: does one thing again and again, by the synchronous calls of Node, and prints what came of it as JSON. The
// same program loads every file system, so ratios mean something, while what Node itself takes is in all figures.
import * as fs from "node:fs";
import { join } from "node:path";

const [workload, directory, seconds] = process.argv.slice(2);
const own = join(directory, `load-${process.pid}`);
const buffer = Buffer.alloc(64, "x");
const file = join(directory, "small");

const workloads = {
  stat: () => fs.statSync(file),
  open: () => {
    const descriptor = fs.openSync(file, "r");
    fs.readSync(descriptor, buffer, 0, 64, 0);
    fs.closeSync(descriptor);
  },
  create: () => {
    const descriptor = fs.openSync(own, "w");
    fs.writeSync(descriptor, buffer, 0, 64, 0);
    fs.closeSync(descriptor);
    fs.unlinkSync(own);
  },
};

const step = workloads[workload];
for (let warm = 0; warm < 50; warm += 1) step();
const durations = [];
const start = performance.now();
const end = start + Number(seconds) * 1000;
let now = start;
while (now < end) {
  step();
  const after = performance.now();
  durations.push((after - now) * 1000);
  now = after;
}
durations.sort((left, right) => left - right);
const at = (share) => durations[Math.floor(durations.length * share)];
const perSecond = durations.length / ((now - start) / 1000);
process.stdout.write(JSON.stringify({ operations: durations.length, perSecond, medianUs: at(0.5), p99Us: at(0.99) }));
