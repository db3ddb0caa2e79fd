import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

/** One line of /proc/self/mountinfo, see proc(5). */
export interface MountTableEntry {
  /** The device of the files in it, "major:minor". */
  readonly device: string;
  readonly directory: string;
  readonly type: string;
  readonly source: string;
}

/** Parses the table. Lines that are not understood are left out: later kernels may add some. */
export function parseMountTable(text: string): MountTableEntry[] {
  const entries: MountTableEntry[] = [];
  for (const line of text.split("\n")) {
    const [front = "", back = ""] = line.split(" - ");
    const [, , device, , directory] = front.split(" ");
    const [type, source] = back.split(" ");
    if (device === undefined || directory === undefined || type === undefined || source === undefined) continue;
    entries.push({ device, directory: unescape(directory), type: unescape(type), source: unescape(source) });
  }
  return entries;
}

/** Spaces, tabs, line ends and backslashes are written as three octal digits. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** What is mounted at a directory, the topmost if there are several. */
export async function findMount(directory: string): Promise<MountTableEntry | undefined> {
  const path = resolve(directory);
  const table = parseMountTable(await readFile("/proc/self/mountinfo", "utf8"));
  return table.findLast((entry) => entry.directory === path);
}

export function isFuse(entry: MountTableEntry): boolean {
  return entry.type === "fuse" || entry.type.startsWith("fuse.");
}
