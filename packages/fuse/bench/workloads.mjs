// What is done to each target. Everything resolves with a figure of which more is better.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { processorUs } from "./targets.mjs";

const run = promisify(execFile);
const LOAD = new URL("load.mjs", import.meta.url).pathname;
const LARGE_MIB = 256;

/** Several processes do the same, in rounds; their rates are added. */
export class Clients {
  #target;
  #children;

  constructor(workload, target, count) {
    this.#target = target;
    this.#children = Array.from({ length: count }, () => {
      const child = spawn(process.execPath, [LOAD, workload, target.directory], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const lines = createInterface({ input: child.stdout });
      const ended = once(lines, "close").then(() => ["{}"]);
      return { child, lines, ended };
    });
  }

  async round(seconds) {
    const before = processorUs(this.#target.pid);
    const answers = this.#children.map(async ({ child, lines, ended }) => {
      const waiting = new AbortController();
      const answer = Promise.race([once(lines, "line", { signal: waiting.signal }), ended]);
      child.stdin.write(`${seconds}\n`);
      const result = JSON.parse((await answer)[0]);
      waiting.abort();
      if (result.perSecond === undefined) throw new Error(`A client of ${this.#target.name} has ended.`);
      return result;
    });
    const results = await Promise.all(answers);
    const sum = (key) => results.reduce((total, result) => total + result[key], 0);
    return {
      value: sum("perSecond"),
      medianUs: sum("medianUs") / results.length,
      p99Us: Math.max(...results.map(({ p99Us }) => p99Us)),
      serverUs: (processorUs(this.#target.pid) - before) / sum("operations"),
    };
  }

  stop() {
    for (const { child } of this.#children) child.kill();
  }
}

/** fio(1). With `cold`, what the mount itself has cached is dropped first; the disk behind it stays cached. */
export async function fio(kind, target, { jobs, seconds, cold }) {
  const isLocal = target.pid === undefined;
  const words = [
    "--name=load",
    `--filename=${join(target.directory, kind.startsWith("write") ? "written" : "large")}`,
    `--size=${LARGE_MIB}m`,
    `--rw=${kind.replace(/^mmap-/, "")}`,
    `--bs=${kind.includes("rand") ? "4k" : "1m"}`,
    `--ioengine=${kind.startsWith("mmap") ? "mmap" : "psync"}`,
    `--numjobs=${jobs}`,
    "--thread",
    "--group_reporting",
    "--time_based",
    `--runtime=${Math.round(seconds * 1000)}ms`,
    `--invalidate=${cold && !isLocal ? 1 : 0}`,
    "--fallocate=none",
    "--overwrite=1",
    "--output-format=json",
  ];
  const before = processorUs(target.pid);
  const { stdout } = await run("fio", words, { maxBuffer: 16_777_216 });
  const [job] = JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs;
  const side = kind.startsWith("write") ? job.write : job.read;
  const value = kind.includes("rand") ? side.iops : side.bw_bytes / 1_048_576;
  return { value, serverUs: (processorUs(target.pid) - before) / Math.max(side.total_ios, 1) };
}

/**
 * Reads the large file once from its beginning to its end, without what the mount has cached: each byte is moved by the server, unless it is
 * passed through. The same is done to the local disk, whose cache stays.
 */
export async function sequential(target, { jobs }) {
  return { value: await readOnce(target, jobs) };
}

async function readOnce(target, jobs) {
  const words = [
    "--name=load",
    `--filename=${join(target.directory, "large")}`,
    `--size=${LARGE_MIB}m`,
    "--rw=read",
    "--bs=1m",
    "--ioengine=psync",
    `--numjobs=${jobs}`,
    "--thread",
    "--group_reporting",
    `--invalidate=${target.pid === undefined ? 0 : 1}`,
    "--output-format=json",
  ];
  const { stdout } = await run("fio", words, { maxBuffer: 16_777_216 });
  return JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs[0].read.bw_bytes / 1_048_576;
}
