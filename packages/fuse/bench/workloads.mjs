// What is done to each target. Everything resolves with a figure of which more is better.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { processorUs } from "./targets.mjs";

const run = promisify(execFile);
const LOAD = new URL("load.mjs", import.meta.url).pathname;
const LARGE_MIB = 256;

/** Several processes do the same; their rates are added. */
export async function calls(workload, target, { clients, seconds }) {
  const before = processorUs(target.pid);
  const words = [LOAD, workload, target.directory, String(seconds)];
  const outputs = await Promise.all(Array.from({ length: clients }, () => run(process.execPath, words)));
  const results = outputs.map(({ stdout }) => JSON.parse(stdout));
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  return {
    value: sum("perSecond"),
    medianUs: results[0].medianUs,
    p99Us: results[0].p99Us,
    serverUs: (processorUs(target.pid) - before) / sum("operations"),
  };
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
 * Reads the large file once from its beginning to its end, again and again, without what the mount has cached: each byte is moved by the server,
 * unless it is passed through.
 */
export async function sequential(target, { jobs, seconds }) {
  if (target.pid === undefined) return fio("read", target, { jobs, seconds, cold: false });
  const end = performance.now() + seconds * 1000;
  const rates = [];
  while (rates.length === 0 || performance.now() < end) rates.push(await readOnce(target, jobs));
  rates.sort((left, right) => left - right);
  return { value: rates[Math.floor(rates.length / 2)] };
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
    "--invalidate=1",
    "--output-format=json",
  ];
  const { stdout } = await run("fio", words, { maxBuffer: 16_777_216 });
  return JSON.parse(stdout.slice(stdout.indexOf("{"))).jobs[0].read.bw_bytes / 1_048_576;
}
