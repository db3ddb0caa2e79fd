import { spawnSync } from "node:child_process";
import { FuseError } from "../protocol/errors.ts";
import { mountWay } from "./attach.ts";
import { findMount, isFuse } from "./mount-table.ts";
import { runProgram } from "./run-program.ts";

/**
 * "plain" fails while somebody uses the file system; "lazy" takes it out of sight and lets its users finish; "force" also fails whatever they
 * are waiting for. Only root can force.
 */
export type DetachMode = "plain" | "lazy" | "force";

function command(mode: DetachMode, directory: string): { readonly program: string; readonly words: readonly string[] } {
  if (mountWay() === "direct") {
    // Without --no-canonicalize, umount would look at the directory, and ask the very server that may not answer any more.
    const flags = { plain: [], lazy: ["-l"], force: ["-f", "-l"] }[mode];
    return { program: "umount", words: ["-i", "-n", "-c", ...flags, "--", directory] };
  }
  const flags = mode === "plain" ? ["-u"] : ["-u", "-z"];
  return { program: "fusermount3", words: [...flags, "--", directory] };
}

/** Unmounts. False if somebody uses the file system; a directory where nothing is mounted is a success. */
export async function detach(directory: string, mode: DetachMode): Promise<boolean> {
  const { program, words } = command(mode, directory);
  const { code, message } = await runProgram(program, words);
  if (code === 0 || /not mounted|not found|no mount point/i.test(message)) return true;
  if (/busy/i.test(message)) return false;
  throw new FuseError("MountFailed", `${directory} could not be unmounted. The system said: ${message}.`);
}

/** For the very end of a process, when nothing can be waited for any more. */
export function detachNow(directory: string): void {
  const { program, words } = command("force", directory);
  spawnSync(program, words, { stdio: "ignore", timeout: 5000 });
}

/** True if a file system is mounted there whose server is gone. Looking at it fails with ENOTCONN. */
export function isStale(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === "ENOTCONN" || code === "ECONNABORTED";
}

/** Unmounts what a server left behind that was killed. Refuses to touch anything but a FUSE mount. */
export async function repairStale(directory: string): Promise<void> {
  const entry = await findMount(directory);
  if (entry === undefined || !isFuse(entry)) {
    throw new FuseError(
      "NoDirectory",
      `${directory} cannot be used: the server of the file system that it is in has died. Unmount that one first.`,
    );
  }
  await detach(directory, "lazy");
}
