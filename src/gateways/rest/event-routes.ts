import type { z } from "zod";
import type { ChangeLine, CoordinatorService } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import { createNameGate, visibleChange } from "./access/visible-changes.ts";
import { partsBelow } from "./access/visible-listing.ts";
import type { StreamEvent } from "./event-stream.ts";
import { type Call, type Route, shownAsSeen } from "./route.ts";
import * as schemas from "./schemas.ts";
import { changeView } from "./views.ts";

const PAGE_CHANGES = 500;
/** So often a quiet stream shows that it stands, and who reads it is looked at again. */
const IDLE_MS = 15_000;
const LAST_EVENT = "last-event-id";

/** What happens in the namespace, as it happens. */
export const EVENT_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/events",
    summary:
      "Changes of the namespace as they come, as server-sent events whose ids are places to go on from; of names that the key may list.",
    query: schemas.eventsQuery,
    needs: shownAsSeen,
    answers: { 200: schemas.changeSchema },
    follow,
  },
];

async function* follow(service: CoordinatorService, call: Call): AsyncGenerator<readonly StreamEvent[]> {
  const { prefix = "", kinds, after } = call.query as z.infer<typeof schemas.eventsQuery>;
  // Refuses at once whoever may see nothing there.
  await partsBelow({ service, ctx: call.ctx, access: call.access }, prefix);
  const asked = after ?? lastSeen(call);
  const end = await service.lastChange(call.ctx);
  let place = asked ?? end;
  // A place behind the end is one of another catalog.
  const isLost = place > end;
  if (isLost) place = end;
  yield [{ id: place, event: isLost ? "gap" : "begin", data: { position: place } }];
  for await (const page of service.followChanges(call.ctx, { after: place, limit: PAGE_CHANGES, idleMs: IDLE_MS })) {
    const maySee = createNameGate(await call.again());
    const events: StreamEvent[] = [];
    if (page.after > place) events.push({ id: page.after, event: "gap", data: { position: page.after } });
    for (const change of page.changes) {
      if (!concerns(change, prefix)) continue;
      const seen = await visibleChange(change, maySee);
      if (seen === undefined || (kinds !== undefined && !kinds.includes(seen.kind))) continue;
      events.push({ id: seen.position, event: seen.kind, data: changeView(seen) });
    }
    place = page.changes.at(-1)?.position ?? page.after;
    // What was passed over need not be passed over again.
    if (events.at(-1)?.id !== place || events.length === 0) events.push({ id: place });
    yield events;
  }
}

/** A browser says by itself where it was. */
function lastSeen({ access }: Call): number | undefined {
  const text = access.asker.circumstances.header(LAST_EVENT);
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new GfsError("InvalidArgument", "Last-Event-ID is the id of an event of this stream.");
}

/** The rename of a directory concerns all that is below it, by either name. */
function concerns({ path, from, versionId }: ChangeLine, prefix: string): boolean {
  return [path, from].some(
    (name) =>
      name !== undefined &&
      (name.startsWith(prefix) || (from !== undefined && versionId === undefined && prefix.startsWith(`${name}/`))),
  );
}
