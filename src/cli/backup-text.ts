import type { BackupInfo } from "@globalfs/client";
import { formatDuration, formatSize } from "../core/units.ts";

/** `3h ago at local, 1.2 MiB`, and what went wrong since. */
export function backupText({ last, failure }: BackupInfo, nowMs: number): string {
  const ago = (at: Date): string => {
    const minutes = Math.floor((nowMs - at.getTime()) / 60_000);
    return minutes < 1 ? "just now" : `${formatDuration(minutes * 60_000)} ago`;
  };
  const newest =
    last === undefined ? "none yet" : `${ago(last.at)} at ${last.sites.join(", ")}, ${formatSize(last.size)}`;
  return failure === undefined ? newest : `${newest}; FAILED ${ago(failure.at)}: ${failure.error}`;
}
