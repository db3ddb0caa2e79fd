import { spawn, type ChildProcess } from "node:child_process";
import { mountWay } from "./attach.ts";
import { findMount } from "./mount-table.ts";

/**
 * Waits for a line, and unmounts if there is none: our end of the pipe closes when our process dies, however it dies. Only what has the
 * device that we mounted is unmounted, as somebody may have mounted something else there since.
 */
const SCRIPT = `
read -r line && exit 0
while read -r id parent device root point rest; do
  if [ "$device" = "$1" ] && [ "$point" = "$2" ]; then
    shift 2
    exec "$@"
  fi
done < /proc/self/mountinfo
`;

/** A small process that unmounts when this one is gone. */
export class Watcher {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(directory: string): Promise<Watcher | undefined> {
    const entry = await findMount(directory);
    if (entry === undefined) return undefined;
    const unmount =
      mountWay() === "direct" ? ["umount", "-i", "-n", "-c", "-l", directory] : ["fusermount3", "-u", "-z", directory];
    const words = ["-c", SCRIPT, "fuse-watcher", entry.device, escapeForTable(directory), ...unmount];
    // In a session of its own, so that what the terminal sends to all of its programs does not reach it.
    const child = spawn("/bin/sh", words, { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/" });
    child.once("error", () => undefined);
    child.stdin?.once("error", () => undefined);
    child.unref();
    (child.stdin as unknown as { unref?: () => void }).unref?.();
    return new Watcher(child);
  }

  /** The file system is unmounted, and there is nothing left to watch. */
  dismiss(): void {
    this.#child.stdin?.end("done\n");
  }
}

/** As the kernel writes paths into /proc/self/mountinfo. The shell's `read -r` leaves them as they are. */
function escapeForTable(path: string): string {
  return path.replaceAll(/[ \t\n\\]/g, (character) => {
    return `\\${(character.codePointAt(0) as number).toString(8).padStart(3, "0")}`;
  });
}
