import type { Inode } from "../core/ids.ts";
import type { Touch } from "../namespace/index.ts";
import type { LocalSession } from "./local-session.ts";
import type { Recall, SessionEvent } from "./types.ts";

/** What a session is to be told of one commit, while that is being looked at. */
export interface Draft {
  readonly touches: Touch[];
  readonly withheld: Inode[];
  readonly released: Inode[];
  readonly recalls: Recall[];
}

export function draftFor(outbox: Map<LocalSession, Draft>, session: LocalSession): Draft {
  const known = outbox.get(session);
  if (known !== undefined) return known;
  const draft: Draft = { touches: [], withheld: [], released: [], recalls: [] };
  outbox.set(session, draft);
  return draft;
}

export function eventOf(revision: number, { touches, withheld, released, recalls }: Draft): SessionEvent {
  return {
    revision,
    touches,
    ...(withheld.length === 0 ? {} : { withheld }),
    ...(released.length === 0 ? {} : { released }),
    ...(recalls.length === 0 ? {} : { recalls }),
  };
}
