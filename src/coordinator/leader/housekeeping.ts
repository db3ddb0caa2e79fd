import { createLoop, type Loop } from "../../core/async/loop.ts";
import { backgroundCtx } from "../../core/context.ts";
import { type ChangeCursor, clearLeftExtended, pruneDue, tellUsage, trimChanges } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import { importFirst } from "../foreign/first-import.ts";
import { adoptMoved } from "../foreign/moved.ts";
import { forgetSetAside } from "../foreign/set-aside.ts";
import { reportSetAside } from "../foreign/set-aside-space.ts";
import { publishSome } from "../copies/publishing.ts";
import { releaseDeadSessions } from "./orphans.ts";
import type { Uploads } from "../uploads/uploads.ts";
import { sweepCorners } from "./own-corner.ts";
import { forgetTombstones } from "./tombstones.ts";

/** What the leader does now and then so that nothing grows without bound. Each turn is small; what is left waits for the next. */

const CHANGES_A_COMMIT = 99;
const PUBLISHING_TURNS = 50;

export function createHousekeeping(kit: Kit, uploads: Uploads): Loop {
  const { clock, log, settings } = kit;
  let setAsideCursor: Uint8Array | undefined;

  const turn = async (signal: AbortSignal): Promise<number> => {
    const ctx = backgroundCtx({ signal, log, requestId: "housekeeping" });
    const step = async (name: string, work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!signal.aborted) log.warn("housekeeping_failed", { step: name, error: String(error) });
      }
    };
    let more = false;
    await step("moved", async () => {
      if (await adoptMoved(kit, ctx)) more = true;
    });
    await step("publish", async () => {
      for (let page = 0; page < PUBLISHING_TURNS && !signal.aborted; page++) if (!(await publishSome(kit))) return;
    });
    // Which writers have died is known before what depends on it.
    await step("sites", async () => {
      if (await sweepCorners(kit, ctx)) more = true;
    });
    await step("tombstones", async () => {
      if (await forgetTombstones(kit, ctx)) more = true;
    });
    await step("attributes", async () => {
      while (!signal.aborted && (await kit.kv.transact(clearLeftExtended, AGAIN)));
    });
    await step("directories", async () => {
      while (!signal.aborted && (await kit.kv.transact((tx) => pruneDue(tx, clock.nowMs()), AGAIN)));
    });
    await step("usage", async () => {
      while (!signal.aborted && (await kit.kv.transact(tellUsage)));
    });
    await step("orphans", async () => await releaseDeadSessions(kit, signal));
    await step("changes", async () => await trim(kit));
    await step("set aside", async () => {
      setAsideCursor = await forgetSetAside(kit, setAsideCursor);
      await reportSetAside(kit);
    });
    await step("uploads", async () => await uploads.collect(ctx));
    for (const site of kit.sites.list()) {
      await step("import", async () => {
        if (await importFirst(kit, ctx, site)) more = true;
      });
    }
    return more ? 0 : settings.housekeepingIntervalMs;
  };

  // Each step tells of its own failure.
  return createLoop({ clock, turn, onFailure: () => settings.housekeepingIntervalMs });
}

/** What a crash undoes of these walks is done by the next one: the rows that are left are their position. */
const AGAIN = { durability: "visible" } as const;

const CHANGE_RETENTION_MS = 7 * 86_400_000;

async function trim(kit: Kit): Promise<void> {
  const beforeMs = kit.clock.nowMs() - CHANGE_RETENTION_MS;
  let cursor: ChangeCursor | undefined;
  do {
    cursor = await kit.kv.transact((tx) => trimChanges(tx, { beforeMs, limit: CHANGES_A_COMMIT }), AGAIN);
  } while (cursor !== undefined);
}
