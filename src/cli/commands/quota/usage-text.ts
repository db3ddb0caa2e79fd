import type { DirectoryUsage } from "@globalfs/client";
import { formatSize } from "../../../core/units.ts";
import { renderFacts } from "../../table.ts";

/** What lies below a directory beside what may. */
export function usageText({ path, bytes, inodes, olderBytes, maxBytes, maxInodes }: DirectoryUsage): string {
  return renderFacts([
    ["Directory", path === "" ? "/" : path],
    ["Files", `${bytes} (${formatSize(bytes)})`],
    ["Older versions", olderBytes === 0 ? undefined : `${olderBytes} (${formatSize(olderBytes)})`],
    ["Inodes", String(inodes)],
    ["Most bytes", maxBytes === undefined ? undefined : `${maxBytes} (${formatSize(maxBytes)})`],
    ["Most inodes", maxInodes === undefined ? undefined : String(maxInodes)],
  ]);
}
