import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { VersionId } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { BUDGET, type KeyRange, type Kv, prefixRange, type Program } from "../../kv/index.ts";
import { initialize } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import { backupsAt, readBackup, type StoredBackup } from "../backup.ts";
import { loadCatalog, readDump } from "../load.ts";
import { foundSpace, objectSpace, stateKey, stateSpace } from "./found-rows.ts";
import { lookAtSite, type Looked } from "./look.ts";
import { forgetMissing, type Missing } from "./missing.ts";
import { takeFound, type Taken } from "./take.ts";

/**
 * Makes a catalog from what the sites hold, on top of the newest whole backup that is found there, or alone. The sites are only read. Everything
 * is written so that it can be done again: an attempt that was interrupted goes on.
 */

export interface RebuildDeps {
  /** The catalog that is being made, by nobody else. */
  readonly kv: Kv;
  readonly clock: Clock;
  readonly cluster: string;
  /** All that answer. */
  readonly sites: readonly Site[];
  readonly versionIdAt: (atMs: number) => VersionId;
}

export interface RebuildOptions {
  /** Absent: from the sites alone. The revision of the catalog that is made is this one's already, as the changes that it tells come after those. */
  readonly backup?: FoundBackup;
  readonly onStep?: (step: string) => void;
  readonly onItems?: (count: number) => void;
}

export interface RebuildReport extends Looked {
  /** Absent where the sites alone were asked. */
  readonly backup?: StoredBackup;
  readonly taken: Taken;
  readonly missing: Missing;
}

export async function rebuild(ctx: Ctx, deps: RebuildDeps, options: RebuildOptions): Promise<RebuildReport> {
  const { kv, clock, sites, versionIdAt } = deps;
  const { onStep, onItems } = options;
  const nowMs = clock.nowMs();
  if (options.backup !== undefined) {
    const { backup, site } = options.backup;
    const loaded = await kv.view((tx) => tx.get(stateKey(LOADED)));
    if (loaded === undefined || Buffer.from(loaded).toString() !== backup.key) {
      await clear(kv, ALL);
      onStep?.("Loading the backup");
      await loadCatalog(kv, readBackup(ctx, site, backup.key), {
        signal: ctx.signal,
        ...(onItems === undefined ? {} : { onRows: onItems }),
      });
      await kv.transact(function* (tx): Program<void> {
        tx.put(stateKey(LOADED), Buffer.from(backup.key));
      });
    }
  }
  await kv.transact((tx) => initialize(tx, nowMs));
  const looked: Looked = { objects: 0, refused: 0 };
  for (const site of sites) {
    onStep?.(`Reading what lies at ${site.name}`);
    await lookAtSite(ctx, kv, site, { looked, ...(onItems === undefined ? {} : { onObjects: onItems }) });
  }
  onStep?.("Making the tree");
  const taken = await takeFound(kv, {
    versionIdAt,
    nowMs,
    signal: ctx.signal,
    ...(onItems === undefined ? {} : { onGroups: onItems }),
  });
  const missing = await forgetMissing(kv, {
    sites: new Set(sites.map(({ name }) => name)),
    nowMs,
    nextVersionId: () => versionIdAt(nowMs),
  });
  for (const space of [foundSpace, objectSpace, stateSpace]) await clear(kv, prefixRange(space));
  return { ...looked, taken, missing, ...(options.backup === undefined ? {} : { backup: options.backup.backup }) };
}

/** No name of a site has a slash. */
const LOADED = "/loaded";

export interface FoundBackup {
  readonly backup: StoredBackup;
  readonly site: Site;
  /** Of the newest commit that is in it. */
  readonly revision: number;
}

/** The newest that is whole: it is read to its end before it is believed. */
export async function findBackup(
  ctx: Ctx,
  { sites, cluster }: Pick<RebuildDeps, "sites" | "cluster">,
): Promise<FoundBackup> {
  const found: { readonly backup: StoredBackup; readonly site: Site }[] = [];
  for (const site of sites) for (const backup of await backupsAt(ctx, site, cluster)) found.push({ backup, site });
  found.sort((one, other) => other.backup.atMs - one.backup.atMs);
  let damage = "";
  for (const candidate of found) {
    try {
      const dump = readDump(readBackup(ctx, candidate.site, candidate.backup.key));
      let next = await dump.next();
      while (next.done !== true) next = await dump.next();
      return { ...candidate, revision: next.value.revision };
    } catch (error) {
      if (ctx.signal.aborted) throw error;
      damage = ` ${candidate.backup.key} at ${candidate.site.name}: ${(error as Error).message}`;
    }
  }
  throw new GfsError(
    "NotFound",
    `None of the sites has a whole backup of the catalog.${damage} \`--from-sites\` makes a catalog from the objects alone.`,
    { op: "meta.rebuild" },
  );
}

const ALL: KeyRange = { start: Buffer.from([0]), end: Buffer.from([0xff]) };

async function clear(kv: Kv, range: KeyRange): Promise<void> {
  for (let more = true; more;) {
    more = await kv.transact(function* (tx): Program<boolean> {
      const rows = yield* tx.range({ ...range, limit: BUDGET.writes });
      for (const { key } of rows) tx.delete(key);
      return rows.length === BUDGET.writes;
    });
  }
}
