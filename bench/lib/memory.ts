import { readFileSync } from "node:fs";

/** Memory that is this process's own, without pages of mapped files, which the system takes back when it needs them. */
export function anonymousMiB(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024;
}
