import type { Pause } from "@globalfs/client";

/** `since 2026-01-01T00:00:00.000Z by alice: the link is being mended`, as far as it is known. */
export function pauseText({ since, by, reason }: Pause): string {
  const when = since === undefined ? "" : `since ${since.toISOString()}`;
  const who = by === undefined ? "" : ` by ${by}`;
  return `${when}${who}${reason === undefined ? "" : `: ${reason}`}`;
}
