import { spawnSync } from "node:child_process";
import { join } from "node:path";

const COMMAND = join(import.meta.dirname, "../../bin/globalfs-fuse.js");

/** Whether tests of programs on mounts have to be left out. Where everything has to be there, a program that is not is a failure. */
export function isMissing(...programs: string[]): boolean {
  const absent = programs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
  if (absent.length === 0) return false;
  if (process.env["GLOBALFS_REQUIRE_SERVERS"] === "1") throw new Error(`Not installed: ${absent.join(", ")}.`);
  process.stderr.write(`Tests of programs on mounts are skipped, as these are not installed: ${absent.join(", ")}.\n`);
  return true;
}

/** A clone below a home directory may be its owner's alone. Only root can ask. */
export function mayRun(uid: number): boolean {
  if (spawnSync(process.execPath, [COMMAND, "--help"], { uid, gid: uid }).status === 0) return true;
  process.stderr.write(`Tests of other users are skipped: they cannot read ${COMMAND}, or not start Node.\n`);
  return false;
}
