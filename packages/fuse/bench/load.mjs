// node load.mjs WORKLOAD DIR: for each line on standard input, a number of seconds, does one thing again and again for so long, by the synchronous
// calls of Node, and prints what came of it as a line of JSON. The same program loads every file system, so ratios mean something, while what
// Node itself takes is in all figures. It stays between the rounds, so that its code is compiled when they count.
import * as fs from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [workload, directory] = process.argv.slice(2);
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
createInterface({ input: process.stdin }).on("line", (seconds) => {
  process.stdout.write(`${JSON.stringify(round(Number(seconds)))}\n`);
});

function round(seconds) {
  const durations = [];
  const start = performance.now();
  const end = start + seconds * 1000;
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
  return { operations: durations.length, perSecond, medianUs: at(0.5), p99Us: at(0.99) };
}
