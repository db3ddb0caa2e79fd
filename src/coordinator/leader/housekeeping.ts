import { createLoop, type Loop } from "../../core/async/loop.ts";
import { backgroundCtx, type Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import {
  type ChangeCursor,
  clearLeftExtended,
  dropTombstone,
  findOwner,
  hasParts,
  pageTombstones,
  tellUsage,
  trimChanges,
} from "../../namespace/index.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { isShared, type Site } from "../../stores/index.ts";
import { LANDED_PREFIX, versionIdOf, VERSIONS_PREFIX } from "../copies/object-keys.ts";
import type { Kit } from "../kit.ts";
import { importFirst } from "../foreign/first-import.ts";
import { forgetSetAside, isSetAside, SET_ASIDE_PREFIX } from "../foreign/set-aside.ts";
import { reportSetAside } from "../foreign/set-aside-space.ts";
import { publishSome } from "../copies/publishing.ts";
import { releaseDeadSessions } from "./orphans.ts";
import type { Uploads } from "../uploads/uploads.ts";
import { uploadCheck } from "../uploads/collect.ts";

/** What the leader does now and then so that nothing grows without bound. Each turn is small; what is left waits for the next. */

const TOMBSTONES_A_TURN = 500;
const CHANGES_A_COMMIT = 99;
const PUBLISHING_TURNS = 50;
const OBJECTS_A_PAGE = 1_000;

export function createHousekeeping(kit: Kit, uploads: Uploads): Loop {
  const { clock, log, settings } = kit;
  let tombstoneCursor: FilePath | undefined;
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
    await step("publish", async () => {
      for (let page = 0; page < PUBLISHING_TURNS && !signal.aborted; page++) if (!(await publishSome(kit))) return;
    });
    await step("tombstones", async () => {
      tombstoneCursor = await forgetTombstones(kit, ctx, tombstoneCursor);
    });
    await step("attributes", async () => {
      while (!signal.aborted && (await kit.kv.transact(clearLeftExtended, AGAIN)));
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
    let importing = false;
    for (const site of kit.sites.list()) {
      await step("import", async () => {
        if (await importFirst(kit, ctx, site)) importing = true;
      });
    }
    for (const site of kit.sites.list()) await step("staging", async () => await sweepSite(kit, ctx, site));
    return importing ? 0 : settings.housekeepingIntervalMs;
  };

  // Each step tells of its own failure.
  return createLoop({ clock, turn, onFailure: () => settings.housekeepingIntervalMs });
}

/** What a crash undoes of these walks is done by the next one: the rows that are left are their position. */
const AGAIN = { durability: "visible" } as const;

/**
 * A tombstone may go once it is old and every site that takes part has been asked and does not have the object: then nothing is
 * left to hide. One site that does not answer keeps it.
 */
async function forgetTombstones(kit: Kit, ctx: Ctx, after: FilePath | undefined): Promise<FilePath | undefined> {
  const page = await kit.kv.view((tx) =>
    pageTombstones(tx, { limit: TOMBSTONES_A_TURN, ...(after === undefined ? {} : { after }) }),
  );
  const oldestKeptMs = kit.clock.nowMs() - kit.settings.tombstoneRetentionMs;
  for (const tombstone of page.tombstones) {
    if (tombstone.deletedMs > oldestKeptMs || ctx.signal.aborted) continue;
    if (!(await goneEverywhere(kit, ctx, tombstone.path))) continue;
    const { path, versionId } = tombstone;
    await kit.kv.transact((tx) => dropTombstone(tx, { path, versionId }), AGAIN);
  }
  return page.next;
}

async function goneEverywhere(kit: Kit, ctx: Ctx, path: FilePath): Promise<boolean> {
  for (const site of kit.sites.list()) {
    try {
      await site.store.head(ctx, path);
      const owner = await kit.kv.view((tx) => findOwner(tx, site.name, path));
      if (owner === undefined) return false;
    } catch (error) {
      if (!isGfsError(error, "NotFound")) return false;
    }
  }
  return true;
}

const CHANGE_RETENTION_MS = 7 * 86_400_000;

async function trim(kit: Kit): Promise<void> {
  const beforeMs = kit.clock.nowMs() - CHANGE_RETENTION_MS;
  let cursor: ChangeCursor | undefined;
  do {
    cursor = await kit.kv.transact((tx) => trimChanges(tx, { beforeMs, limit: CHANGES_A_COMMIT }), AGAIN);
  } while (cursor !== undefined);
}

async function sweepSite(kit: Kit, ctx: Ctx, site: Site): Promise<void> {
  // What this catalog does not know may be another's.
  if (await isShared(site.store, ctx)) return;
  const removed = await site.store.sweep(ctx, kit.settings.stagingRetentionMs, uploadCheck(kit, site.name));
  if (removed > 0) kit.log.info("staging_swept", { site: site.name, removed });
  let lost = 0;
  for (const prefix of [LANDED_PREFIX, VERSIONS_PREFIX, SET_ASIDE_PREFIX])
    lost += await removeLostWrites(kit, ctx, site, prefix);
  if (lost > 0) kit.log.info("lost_writes_removed", { site: site.name, removed: lost });
}

/** No path names an object in our own corner: one without an owner is that of a write whose process died before the catalog knew. */
async function removeLostWrites(kit: Kit, ctx: Ctx, site: Site, prefix: string): Promise<number> {
  const oldestKeptMs = kit.clock.nowMs() - kit.settings.stagingRetentionMs;
  let removed = 0;
  let continuation: string | undefined;
  do {
    const page = await site.store.list(ctx, {
      prefix,
      limit: OBJECTS_A_PAGE,
      ...(continuation === undefined ? {} : { continuation }),
    });
    for (const { key, etag, modifiedMs } of page.objects) {
      if (modifiedMs > oldestKeptMs) continue;
      if (await kit.kv.view((tx) => isAnybodys(tx, site, key))) continue;
      // Power loss must not give it back to a file.
      await kit.kv.flush();
      await site.store.delete(ctx, key, { ifMatch: etag });
      removed += 1;
    }
    continuation = page.continuation;
  } while (continuation !== undefined && !ctx.signal.aborted);
  return removed;
}

function* isAnybodys(tx: Reader, site: Site, key: string): Program<boolean> {
  if (key.startsWith(SET_ASIDE_PREFIX)) return yield* isSetAside(tx, key);
  if ((yield* findOwner(tx, site.name, key)) !== undefined) return true;
  // A completion whose process died has made it, and may be asked for again.
  const id = versionIdOf(key);
  return id !== undefined && (yield* hasParts(tx, id));
}
