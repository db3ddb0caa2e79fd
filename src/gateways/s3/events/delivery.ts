import type { ChangeLine, CoordinatorService } from "../../../coordinator/service/service.ts";
import { createLoop, type Loop } from "../../../core/async/loop.ts";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Logger } from "../../../core/ports/log.ts";
import type { Counter, Gauge, Metrics } from "../../../core/ports/metrics.ts";
import type { Random } from "../../../core/ports/random.ts";
import type { EventRecord } from "./message.ts";
import { recordsFor } from "./subscribed-records.ts";
import { createPoster, type Poster, type Webhook } from "./webhook.ts";

/**
 * Event notifications of buckets, delivered from the change feed. Each webhook has a place of its own in the feed, kept in the catalog: what it has
 * not taken stays there and is sent again, in the order of the feed, so that no receiver holds up another and nothing waits in memory. Every event
 * comes at least once; after a crash or a change of leaders the last ones come again. What the feed forgets before a receiver comes back is lost to
 * it, counted and logged.
 */
export interface EventDelivery {
  start(): void;
  /** Lets what is under way come to its end for a moment, so that it need not be sent again; resolves when nothing is any more. */
  stop(): Promise<void>;
}

export interface EventDeliveryDeps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly region: string;
  /** By the names that notification configurations use. */
  readonly webhooks: Readonly<Record<string, Webhook>>;
}

const IDLE_MS = 500;
const GRACE_MS = 2_000;
const PAGE_CHANGES = 500;
const BATCH_RECORDS = 100;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** How often a receiver may refuse one event before it is passed over. */
const MAX_REFUSALS = 5;
/** A place that nothing was delivered at is written down only every so many changes. */
const CHANGES_BETWEEN_PLACES = 1_000;

export function createEventDelivery(deps: EventDeliveryDeps): EventDelivery {
  const aborting = new AbortController();
  const poster = createPoster(deps.clock);
  const instruments = createInstruments(deps.metrics);
  const loops = Object.entries(deps.webhooks).map(([name, webhook]) =>
    createCourier({ ...deps, ...instruments, poster, name, webhook }, aborting.signal),
  );
  return {
    start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      const stopped = Promise.all(loops.map(async (loop) => await loop.stop()));
      const reason = new Error("The delivery of events stops.");
      const cancel = deps.clock.timer(GRACE_MS, () => aborting.abort(reason));
      await stopped;
      cancel();
      await poster.close();
    },
  };
}

interface Instruments {
  readonly events: Counter;
  readonly lag: Gauge;
}

function createInstruments(metrics: Metrics): Instruments {
  return {
    events: metrics.counter({
      name: "globalfs_s3_events_total",
      help: "Event notifications by what became of them: delivered, dropped after the receiver refused them, or missed: how often the change feed had forgotten some before they were told.",
      labels: ["webhook", "outcome"],
    }),
    lag: metrics.gauge({
      name: "globalfs_s3_events_lag_seconds",
      help: "How long ago the oldest change of the namespace was made that a webhook has not been told of yet.",
      labels: ["webhook"],
    }),
  };
}

interface CourierDeps extends EventDeliveryDeps, Instruments {
  readonly poster: Poster;
  readonly name: string;
  readonly webhook: Webhook;
}

/** Brings one webhook its events. What it has sent it waits for when it is stopped, until `aborting`. */
function createCourier(deps: CourierDeps, aborting: AbortSignal): Loop {
  const { service, clock, random, log, name, webhook, poster, events, lag, region } = deps;
  const ctx: Ctx = backgroundCtx({ signal: aborting, requestId: `events-${name}`, log });
  const reader = `s3-events/${name}`;
  let place: number | undefined;
  /** Changes since the place was kept. */
  let passed = 0;
  let failures = 0;
  let refusals = 0;
  /** One after a refusal, so that an event that the receiver cannot read does not take others along; then more and more again. */
  let batchRecords = BATCH_RECORDS;

  const findPlace = async (): Promise<number> => {
    const found = await service.findFeedPlace(ctx, reader);
    if (found !== undefined) return found;
    // Whoever is new is told of what happens from now on.
    const end = await service.lastChange(ctx);
    await keep(end);
    return end;
  };

  const keep = async (position: number): Promise<void> => {
    await service.keepFeedPlace(ctx, reader, position);
    passed = 0;
    place = position;
  };

  const pass = async (position: number): Promise<void> => {
    place = position;
    passed += 1;
    if (passed >= CHANGES_BETWEEN_PLACES) await keep(position);
  };

  /** False: the receiver has not taken them, and the place stays before them. */
  const deliver = async (records: readonly EventRecord[], position: number): Promise<boolean> => {
    const outcome = await poster.post(webhook, JSON.stringify({ Records: records }), aborting);
    if (outcome.kind === "taken") {
      events.add(records.length, { webhook: name, outcome: "delivered" });
      await settled(position);
      return true;
    }
    failures += 1;
    if (outcome.kind === "failed") {
      log.warn("s3_events_not_taken", { webhook: name, events: records.length, failures, reason: outcome.reason });
      return false;
    }
    refusals += 1;
    log.warn("s3_events_refused", { webhook: name, events: records.length, refusals, status: outcome.status });
    if (batchRecords > 1) {
      batchRecords = 1;
      refusals = 0;
      return false;
    }
    if (refusals < MAX_REFUSALS) return false;
    events.add(records.length, { webhook: name, outcome: "dropped" });
    log.error("s3_events_dropped", {
      webhook: name,
      status: outcome.status,
      objects: records.map(({ s3 }) => `${s3.bucket.name}/${s3.object.key}`),
    });
    await settled(position);
    return true;
  };

  const settled = async (position: number): Promise<void> => {
    failures = 0;
    refusals = 0;
    batchRecords = Math.min(BATCH_RECORDS, batchRecords * 2);
    await keep(position);
  };

  /** One page of the feed. Resolves with whether there may be more to do at once. */
  const page = async (stopping: AbortSignal): Promise<boolean> => {
    place ??= await findPlace();
    const { changes, after } = await service.readChanges(ctx, { after: place, limit: PAGE_CHANGES });
    const [oldest] = changes;
    lag.set(oldest === undefined ? 0 : Math.max(0, clock.nowMs() - oldest.atMs) / 1_000, { webhook: name });
    if (after > place) {
      events.add(1, { webhook: name, outcome: "missed" });
      log.error("s3_events_missed", { webhook: name });
      await keep(after);
    }
    return await tell(changes, stopping);
  };

  const tell = async (changes: readonly ChangeLine[], stopping: AbortSignal): Promise<boolean> => {
    let batch: EventRecord[] = [];
    for (const change of changes) {
      if (stopping.aborted) return false;
      const records = await recordsFor(ctx, { service, region, webhook: name }, change);
      batch.push(...records);
      if (batch.length === 0) await pass(change.position);
      else if (batch.length >= batchRecords) {
        if (!(await deliver(batch, change.position))) return false;
        batch = [];
      }
    }
    const last = changes.at(-1);
    if (last === undefined) return false;
    if (batch.length > 0 && !(await deliver(batch, last.position))) return false;
    lag.set(0, { webhook: name });
    return true;
  };

  const pauseMs = (): number => {
    if (failures === 0) return IDLE_MS;
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
    return longest * (0.5 + random.fraction() / 2);
  };

  return createLoop({
    clock,
    async turn(stopping) {
      if (!service.leads) place = undefined;
      else if (await page(stopping)) return 0;
      return pauseMs();
    },
    onFailure(error) {
      failures += 1;
      log.warn("s3_events_turn_failed", { webhook: name, failures, error: String(error) });
      return pauseMs();
    },
  });
}
