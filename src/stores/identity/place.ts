import { backgroundCtx, type Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import { aroundCalls, CALLS, delegateStore, TRANSFERS } from "../layers/delegate.ts";
import type { Store } from "../store.ts";
import { markShared, readMarker, writeMarker } from "./marker.ts";

/**
 * Whether what answers under a site's address is the site: an empty mount point, another disk or a bucket that was made anew is not. The marker
 * at the place says which place it is, the catalog says which one the site lies at. Nothing is read from another one, and nothing written to it.
 */

/** What the catalog has of a site's place. `fresh`: chosen, and not known to lie there yet. `unmarked`: the place takes no writes. */
export type PlaceRecord =
  | { readonly state: "fresh" | "held"; readonly id: string }
  | { readonly state: "unmarked"; readonly id?: undefined };

/** Where the catalog keeps that. Every process of a coordinator has one; in those that only read the catalog writing it does nothing. */
export interface PlaceBook {
  /** What it says by now. The first time a site is seen it gets an id. */
  read(): Promise<PlaceRecord>;
  write(record: PlaceRecord): Promise<void>;
  /** Of a marker that was not expected: `free` is a place of this catalog that no site lies at any more. */
  recognise(id: string): Promise<"free" | "unknown" | { readonly takenBy: string }>;
  newId(): string;
}

export interface PlaceDeps {
  readonly site: string;
  readonly label: string;
  /** The driver, without layers: whether it is the right place is asked also while a breaker keeps everybody away. */
  readonly store: Store;
  readonly book: PlaceBook;
  /** A marker of a catalog that is unknown: a reason to ask, fine as that catalog is gone for sure, or fine as somebody said that both use the place. */
  readonly unknownMarkers: "ask" | "take" | "share";
  /** It is put somewhere on purpose, wherever it was before. */
  readonly moves: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Place {
  /** Resolves once it is known to be the right one. */
  verify(): Promise<void>;
  /** The place that answers now is the site's from now on. */
  adopt(): Promise<void>;
  /** Outermost around the layers: what is not at its place is asked nothing. */
  guard(store: Store): Store;
}

const ANSWER_TIMEOUT_MS = 10_000;
/** A wrong place is looked at again by the health check, and by requests so often at most. */
const LOOK_AGAIN_MS = 1_000;

export function createPlace(deps: PlaceDeps): Place {
  const { site, label, store, book, clock, log } = deps;
  /** Of the medium that the right marker was seen on. */
  let held: { readonly stamp: string } | undefined;
  let problem: { readonly error: GfsError; readonly atMs: number } | undefined;
  let asking: Promise<void> | undefined;
  let isMoving = deps.moves;
  let isFirst = true;

  const stampNow = async (): Promise<string> => {
    try {
      return (await store.medium?.stamp()) ?? "";
    } catch {
      return "away";
    }
  };

  const look = async (ctx: Ctx): Promise<void> => {
    const record = await book.read();
    const found = await readMarker(store, ctx);
    if (record.state === "unmarked") {
      if (found !== undefined) await book.write({ state: "held", id: found });
      // By now it may take writes.
      else if (isFirst) await settle(ctx, { id: book.newId(), found, unknown: "ask" });
    } else if (found === record.id) {
      if (record.state === "fresh") await book.write({ state: "held", id: found });
    } else if (record.state === "fresh") await settle(ctx, { id: record.id, found, unknown: deps.unknownMarkers });
    else if (isMoving) await settle(ctx, { id: book.newId(), found, unknown: deps.unknownMarkers });
    else
      throw wrongPlace(found === undefined ? "its marker is not there" : "the marker there is that of another place");
    isMoving = false;
    isFirst = false;
  };

  /** The site lies where it answers now, under the marker that is there, or under this one. */
  const settle = async (
    ctx: Ctx,
    {
      id,
      found,
      unknown,
    }: { readonly id: string; readonly found: string | undefined; readonly unknown: PlaceDeps["unknownMarkers"] },
  ): Promise<void> => {
    let there = found;
    try {
      there ??= await writeMarker(store, ctx, id);
    } catch (error) {
      if (!isGfsError(error, "PermissionDenied", "ReadOnly", "Unauthenticated", "MethodNotAllowed")) throw error;
      // A site to read from only. It can not be told from another one that is put in its place.
      log.warn("site_not_marked", { site, error: error.message });
      await book.write({ state: "unmarked" });
      return;
    }
    if (there !== id && (await assertFree(there, unknown)) === "unknown" && unknown === "share")
      await markShared(store, ctx);
    await book.write({ state: "held", id: there });
  };

  const assertFree = async (id: string, unknown: PlaceDeps["unknownMarkers"]): Promise<"free" | "unknown"> => {
    const known = await book.recognise(id);
    if (known === "free" || (known === "unknown" && unknown !== "ask")) return known;
    throw new GfsError(
      known === "unknown" ? "Unavailable" : "Conflict",
      known === "unknown"
        ? `Site ${site}: ${label} is a site of another catalog already. If both are to use it, \`globalfs site adopt --name ${site}\` says so; else give the site a place or a prefix of its own.`
        : `Site ${site}: site ${known.takenBy} lies at ${label} already; give each site a place or a prefix of its own.`,
      { op: "site.identity", retry: "never" },
    );
  };

  const wrongPlace = (reason: string): GfsError =>
    new GfsError(
      "Unavailable",
      `Site ${site} is not at ${label}: ${reason}. Mount its disk or correct its address; \`globalfs site adopt --name ${site}\` if what is there replaces the site for good.`,
      { op: "site.identity", retry: "never" },
    );

  const bounded = async (work: (ctx: Ctx) => Promise<void>): Promise<void> => {
    const controller = new AbortController();
    let cancel: (() => void) | undefined;
    const tooLong = new Promise<never>((_resolve, reject) => {
      cancel = clock.timer(ANSWER_TIMEOUT_MS, () => {
        const error = new GfsError("Timeout", `Site ${site} did not show its marker within ${ANSWER_TIMEOUT_MS} ms.`);
        reject(error);
        controller.abort(error);
      });
    });
    try {
      await Promise.race([work(backgroundCtx({ signal: controller.signal, requestId: "identity", log })), tooLong]);
    } finally {
      cancel?.();
    }
  };

  const ask = async (): Promise<void> => {
    const stamp = await stampNow();
    if (held?.stamp !== stamp) held = undefined;
    try {
      await bounded(look);
      held = { stamp };
      if (problem !== undefined) log.info("site_at_its_place", { site });
      problem = undefined;
    } catch (error) {
      const failure = toGfsError(error, "site.identity");
      // A place that was right, and is the same, does not become a wrong one by not answering.
      const isAway = held !== undefined && failure.op !== "site.identity";
      if (!isAway) held = undefined;
      problem = isAway ? undefined : { error: failure, atMs: clock.monotonicMs() };
      throw failure;
    }
  };

  const verify = async (): Promise<void> => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    await asking;
  };

  const assure = async (): Promise<void> => {
    if (held !== undefined) {
      const stamp = store.medium === undefined ? held.stamp : await stampNow();
      // It may have turned out to be a wrong one meanwhile.
      if (held?.stamp === stamp) return;
    }
    if (problem !== undefined && clock.monotonicMs() - problem.atMs < LOOK_AGAIN_MS) throw problem.error;
    await verify();
  };

  return {
    verify,
    async adopt() {
      await asking?.catch(() => undefined);
      await store.medium?.prepare();
      await bounded(async (ctx) => {
        const found = await readMarker(store, ctx);
        const record = await book.read();
        // Another id than before: what the site lay at until now is not this place, should it come back.
        if (found === undefined || found !== record.id)
          await settle(ctx, { id: book.newId(), found, unknown: "share" });
      });
      problem = undefined;
      held = undefined;
      await verify();
    },
    guard: (inner) =>
      delegateStore(inner, {
        ...aroundCalls(inner, [...CALLS, ...TRANSFERS], async (_operation, args, call) => {
          await assure();
          return await call(args);
        }),
        async get(ctx, key, options) {
          if (held === undefined || options?.ifMatch === undefined) {
            await assure();
            return await inner.get(ctx, key, options);
          }
          // Content that is asked for by its name is not found elsewhere by mistake; that it is missing may be one.
          try {
            return await inner.get(ctx, key, options);
          } catch (error) {
            if (isGfsError(error, "NotFound", "PreconditionFailed")) await assure();
            throw error;
          }
        },
        async stage(ctx, key, options) {
          await assure();
          return await inner.stage(ctx, key, options);
        },
        async sweep(ctx, olderThanMs, isInUse) {
          await assure();
          return await inner.sweep(ctx, olderThanMs, isInUse);
        },
        async check(ctx) {
          await inner.check(ctx);
          await verify().catch((error: unknown) => {
            if (held === undefined) throw error;
          });
        },
      }),
  };
}
