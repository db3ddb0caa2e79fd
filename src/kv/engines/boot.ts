import { readFile } from "node:fs/promises";

/**
 * Of this start of the machine: while it stays, what programs gave to the system's files is in them, whether the disk has it or not. Undefined where the system
 * does not tell.
 */
export async function findBootId(): Promise<string | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    return (await readFile("/proc/sys/kernel/random/boot_id", "latin1")).trim();
  } catch {
    return undefined;
  }
}
