import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import { median } from "./report.ts";

/** Where client and server share a machine, what the two take of it for each request says how many requests it can do at most. */
export interface RequestCost {
  readonly serverUs: number;
  readonly clientUs: number;
}

export interface UsedTime {
  readonly serverUs: number;
  readonly clientUs: number;
}

const TICK_US = 10_000;

/** Of the server with the processes it started, and of all clients this process has started and seen the end of. */
export function usedByServer(pid: number): UsedTime {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
  const family = new Set([pid]);
  for (let before = 0; before < family.size;) {
    before = family.size;
    for (const each of all) if (family.has(each.parent)) family.add(each.pid);
  }
  const serverTicks = all.reduce((sum, each) => (family.has(each.pid) ? sum + each.ownTicks : sum), 0);
  return { serverUs: serverTicks * TICK_US, clientUs: (statOf(process.pid)?.endedChildrenTicks ?? 0) * TICK_US };
}

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly ownTicks: number;
  readonly endedChildrenTicks: number;
}

/** See proc_pid_stat(5). Undefined for one that has ended meanwhile. */
function statOf(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name of the program, in parentheses, may hold anything.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const at = (field: number): number => fields[field - 3] ?? 0;
  return { pid, parent: at(4), ownTicks: at(14) + at(15), endedChildrenTicks: at(16) + at(17) };
}

export function costOf(before: UsedTime, after: UsedTime, requests: number): RequestCost {
  return {
    serverUs: (after.serverUs - before.serverUs) / requests,
    clientUs: (after.clientUs - before.clientUs) / requests,
  };
}

export interface MeasuredLoad {
  readonly rates: readonly number[];
  readonly costs: readonly RequestCost[];
}

/** How near two processes come to what this machine has for them beside their client. */
export function printCeiling(two: MeasuredLoad, one: MeasuredLoad): void {
  const cores = os.availableParallelism();
  for (const [name, load] of [
    ["2 processes", two],
    ["1 process", one],
  ] as const) {
    const serverUs = median(load.costs.map((cost) => cost.serverUs));
    const clientUs = median(load.costs.map((cost) => cost.clientUs));
    const ceiling = (cores * 1e6) / (serverUs + clientUs);
    const rate = median(load.rates);
    console.log(
      `${name}: ${serverUs.toFixed(1)} us of the server and ${clientUs.toFixed(1)} us of wrk a request; all of ${cores} cores would do ${Math.round(ceiling).toLocaleString("en")} /s, ` +
        `${(ceiling / median(one.rates)).toFixed(2)}x of 1 process; reached ${((100 * rate) / ceiling).toFixed(0)}% of it`,
    );
  }
}
