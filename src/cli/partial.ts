import { PartialError } from "./failure.ts";

/** Sites that could not be listed, and why: what only they have was not seen. */
export type UnseenSites = Map<string, string>;

export function unseenText(site: string, error: string): string {
  return `Keys that only site ${site} has may be missing here, because it could not be asked: ${error}`;
}

/** A listing that lacks a site's keys is no full answer, and says so when it was given. */
export function refusePartial(unseen: UnseenSites): void {
  if (unseen.size > 0)
    throw new PartialError(Array.from(unseen, ([site, error]) => unseenText(site, error)).join("\n"));
}
