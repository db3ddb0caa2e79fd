import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { decodeKey, encodeKey, type Key, prefixRange, type Program, type Reader } from "../../kv/index.ts";
import { deadWriters, dropWriter, findOwner, hasParts, suspectStrays, tagOf } from "../../namespace/index.ts";
import { isShared, type ObjectInfo, type Site } from "../../stores/index.ts";
import { LANDED_PREFIX, versionIdOf, VERSIONS_PREFIX } from "../copies/object-keys.ts";
import { isSetAside, SET_ASIDE_PREFIX } from "../foreign/set-aside.ts";
import type { Kit } from "../kit.ts";
import { uploadCheck } from "../uploads/collect.ts";

/**
 * What lies in GlobalFS's own corner of a site and no row tells of: of writes whose process died. No path names it. The corner is listed when a writer has died, and
 * otherwise once in the time that such things are kept; how far that has come is in a row.
 */

const SPACE = "coordinator-sweep";
const PREFIXES = [LANDED_PREFIX, VERSIONS_PREFIX, SET_ASIDE_PREFIX];
const OBJECTS_A_PAGE = 1_000;
const PAGES_A_TURN = 100;
const WRITERS_AT_ONCE = 40;

interface Walk {
  /** Writers whose end it began after. */
  readonly dead: readonly string[];
  readonly startedMs: number;
  /** Of `PREFIXES`. */
  readonly prefix: number;
  readonly continuation?: string;
  readonly removed: number;
}

interface SweepRow {
  /** When the last whole walk began. */
  readonly sweptMs: number;
  /** Writers whose objects were looked for. */
  readonly dead: readonly string[];
  readonly walk?: Walk;
}

/** Resolves with whether there is more to do at once. */
export async function sweepCorners(kit: Kit, ctx: Ctx): Promise<boolean> {
  const dead = await noteDead(kit);
  await forgetGone(kit);
  let more = false;
  let sweptEverywhere = dead;
  for (const site of kit.sites.list()) {
    if (ctx.signal.aborted) return false;
    const row = await sweepSite(kit, ctx, { site, dead }).catch((error: unknown) => {
      if (!isGfsError(error, "Canceled")) kit.log.warn("site_not_swept", { site: site.name, error: String(error) });
      return undefined;
    });
    more ||= row?.walk !== undefined;
    sweptEverywhere = sweptEverywhere.filter((tag) => row?.dead.includes(tag));
  }
  if (sweptEverywhere.length > 0) {
    const ended = sweptEverywhere;
    await kit.kv.transact(function* (tx): Program<void> {
      for (const tag of ended) dropWriter(tx, tag);
    });
  }
  return more;
}

const ROWS = 1_000;

/** A site that comes again is a new one: what lies there is not known. */
async function forgetGone(kit: Kit): Promise<void> {
  const rows = await kit.kv.view((tx) => tx.range({ ...prefixRange(encodeKey(SPACE)), limit: ROWS }));
  const gone = rows.filter(({ key }) => kit.sites.find(decodeKey(key, ["string"])[0] as SiteName) === undefined);
  if (gone.length === 0) return;
  await kit.kv.transact(function* (tx): Program<void> {
    for (const { key } of gone.slice(0, WRITERS_AT_ONCE)) tx.delete(key);
  });
}

/** From here on the dead ones can do no more; what they have done, they have done before now. */
async function noteDead(kit: Kit): Promise<readonly string[]> {
  const dead = (await kit.kv.view(deadWriters)).slice(0, WRITERS_AT_ONCE);
  if (dead.length === 0) return dead;
  const nowMs = kit.clock.nowMs();
  await kit.kv.transact(function* (tx): Program<void> {
    suspectStrays(tx, nowMs);
  });
  return dead;
}

function keyOf(site: Site): Key {
  return encodeKey(SPACE, site.name);
}

async function readRow(kit: Kit, site: Site): Promise<SweepRow | undefined> {
  return await kit.kv.view(function* (tx): Program<SweepRow | undefined> {
    const row = yield* tx.get(keyOf(site));
    return row === undefined ? undefined : (JSON.parse(Buffer.from(row).toString()) as SweepRow);
  });
}

async function writeRow(kit: Kit, site: Site, row: SweepRow): Promise<SweepRow> {
  await kit.kv.transact(function* (tx): Program<void> {
    tx.put(keyOf(site), Buffer.from(JSON.stringify(row)));
  });
  return row;
}

async function enterSite(kit: Kit, site: Site): Promise<SweepRow> {
  const row: SweepRow = { sweptMs: 0, dead: [] };
  const nowMs = kit.clock.nowMs();
  await kit.kv.transact(function* (tx): Program<void> {
    suspectStrays(tx, nowMs);
    tx.put(keyOf(site), Buffer.from(JSON.stringify(row)));
  });
  return row;
}

interface Sweep {
  readonly site: Site;
  readonly dead: readonly string[];
}

async function sweepSite(kit: Kit, ctx: Ctx, { site, dead }: Sweep): Promise<SweepRow> {
  const nowMs = kit.clock.nowMs();
  const row = (await readRow(kit, site)) ?? (await enterSite(kit, site));
  const isDue = nowMs - row.sweptMs >= kit.settings.stagingRetentionMs || dead.some((tag) => !row.dead.includes(tag));
  if (row.walk === undefined && !isDue) return row;
  // What this catalog does not know may be another's.
  if (await isShared(site.store, ctx)) return await writeRow(kit, site, { sweptMs: nowMs, dead });
  let walk = row.walk;
  if (walk === undefined) {
    const removed = await site.store.sweep(ctx, kit.settings.stagingRetentionMs, uploadCheck(kit, site.name));
    if (removed > 0) kit.log.info("staging_swept", { site: site.name, removed });
    walk = { dead, startedMs: nowMs, prefix: 0, removed: 0 };
  }
  for (let page = 0; page < PAGES_A_TURN; page++) {
    if (ctx.signal.aborted) break;
    walk = await walkPage(kit, ctx, site, walk);
    if (walk.prefix < PREFIXES.length) continue;
    if (walk.removed > 0) kit.log.info("lost_writes_removed", { site: site.name, removed: walk.removed });
    return await writeRow(kit, site, { sweptMs: walk.startedMs, dead: walk.dead });
  }
  return await writeRow(kit, site, { ...row, walk });
}

async function walkPage(kit: Kit, ctx: Ctx, site: Site, walk: Walk): Promise<Walk> {
  const { continuation, ...rest } = walk;
  const page = await site.store.list(ctx, {
    prefix: PREFIXES[walk.prefix] as string,
    limit: OBJECTS_A_PAGE,
    ...(continuation === undefined ? {} : { continuation }),
  });
  let { removed } = walk;
  for (const object of page.objects) {
    if (ctx.signal.aborted || !isLeft(kit, object, walk)) continue;
    if (await kit.kv.view((tx) => isAnybodys(tx, site, object.key))) continue;
    // Power loss must not give it back to a file.
    await kit.kv.flush();
    await site.store.delete(ctx, object.key, { ifMatch: object.etag });
    removed += 1;
  }
  return page.continuation === undefined
    ? { ...rest, prefix: walk.prefix + 1, removed }
    : { ...rest, continuation: page.continuation, removed };
}

/** Its writer has died, or it has lain there for so long that whoever made it has given up: a job that puts things aside is none of a version's writer. */
function isLeft(kit: Kit, { key, modifiedMs }: ObjectInfo, { dead }: Walk): boolean {
  if (modifiedMs <= kit.clock.nowMs() - kit.settings.stagingRetentionMs) return true;
  const id = versionIdOf(key);
  return id !== undefined && !key.endsWith("-aside") && dead.includes(tagOf(id));
}

function* isAnybodys(tx: Reader, site: Site, key: string): Program<boolean> {
  if (key.startsWith(SET_ASIDE_PREFIX)) return yield* isSetAside(tx, key);
  if ((yield* findOwner(tx, site.name, key)) !== undefined) return true;
  // A completion whose process died has made it, and may be asked for again.
  const id = versionIdOf(key);
  return id !== undefined && (yield* hasParts(tx, id));
}
