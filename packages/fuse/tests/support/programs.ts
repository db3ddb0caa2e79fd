import { spawnSync } from "node:child_process";

/** Whether tests of programs on mounts have to be left out. Where everything has to be there, a program that is not is a failure. */
export function isMissing(...programs: string[]): boolean {
  const absent = programs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
  if (absent.length === 0) return false;
  if (process.env["GLOBALFS_REQUIRE_SERVERS"] === "1") throw new Error(`Not installed: ${absent.join(", ")}.`);
  process.stderr.write(`Tests of programs on mounts are skipped, as these are not installed: ${absent.join(", ")}.\n`);
  return true;
}
