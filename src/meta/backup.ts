import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import type { Ctx } from "../core/context.ts";
import { GfsError, toGfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Kv } from "../kv/index.ts";
import type { Site, StagedWrite } from "../stores/index.ts";
import { backupKey, backupPrefix, type BackupName, readBackupName } from "./backup-names.ts";
import { uncompressed } from "./compression.ts";
import { dumpCatalog, type DumpSummary } from "./dump.ts";

/** A dump of the catalog at the sites, so that losing the disk under the catalog loses no more than what came since. */

export interface BackupDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly cluster: string;
}

export interface BackupOrder {
  readonly sites: readonly Site[];
  /** So many stay at each site, the newest. */
  readonly keep: number;
}

export interface BackupOutcome extends BackupName {
  readonly key: string;
  readonly rows: number;
  /** As it lies at the sites, compressed. */
  readonly sizeBytes: number;
  readonly sites: readonly { readonly site: SiteName; readonly error?: string }[];
}

/** Streams one dump to all sites at once; a site that fails drops out, and the others go on. Fails where none is left. */
export async function backUp(ctx: Ctx, { kv, clock, cluster }: BackupDeps, order: BackupOrder): Promise<BackupOutcome> {
  const atMs = clock.nowMs();
  const key = backupKey(cluster, { atMs, revision: await kv.revision() });
  const targets = new Targets(order.sites);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let summary: DumpSummary | undefined;
  try {
    await targets.each(async (site) => ({
      staged: await site.store.stage(ctx, key, { contentType: "application/gzip" }),
    }));
    const dump = dumpCatalog(kv, { clock, signal: ctx.signal });
    const lines = Readable.from(
      (async function* () {
        summary = yield* dump;
      })(),
    );
    const gzip = createGzip();
    lines.once("error", (error) => gzip.destroy(error));
    for await (const piece of lines.pipe(gzip) as AsyncIterable<Buffer>) {
      hash.update(piece);
      sizeBytes += piece.byteLength;
      await targets.each(async (_site, { staged }) => {
        await staged?.write(piece);
        return {};
      });
    }
    const sha256 = hash.digest("hex");
    await targets.each(async (site, { staged }) => {
      await staged?.seal({ sha256 });
      const info = await staged?.commit(ctx);
      if (info?.sizeBytes !== sizeBytes)
        throw new GfsError("DataCorrupt", `It says that it holds ${info?.sizeBytes} bytes of the ${sizeBytes}.`);
      await forgetOlder(ctx, site, { cluster, keep: order.keep });
      return {};
    });
  } catch (error) {
    await targets.abort();
    throw error;
  }
  if (summary === undefined) throw new GfsError("Internal", "The dump ended without its end.");
  return { key, atMs, revision: summary.revision, rows: summary.rows, sizeBytes, sites: targets.outcome() };
}

interface Target {
  readonly site: Site;
  staged?: StagedWrite;
  error?: string;
}

class Targets {
  readonly #targets: readonly Target[];

  constructor(sites: readonly Site[]) {
    this.#targets = sites.map((site) => ({ site }));
  }

  async each(work: (site: Site, target: Target) => Promise<{ readonly staged?: StagedWrite }>): Promise<void> {
    const left = this.#targets.filter(({ error }) => error === undefined);
    await Promise.all(
      left.map(async (target) => {
        try {
          Object.assign(target, await work(target.site, target));
        } catch (error) {
          target.error = toGfsError(error, "meta.backup").message;
          await target.staged?.abort();
        }
      }),
    );
    if (this.#targets.some(({ error }) => error === undefined)) return;
    const [first] = this.#targets;
    throw new GfsError(
      "Unavailable",
      first === undefined
        ? "There is no site for the backup; `coordinator.backup.sites` names them, and without it the primaries have it."
        : `No site took the backup. ${first.site.name}: ${first.error}`,
      { op: "meta.backup" },
    );
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#targets.map(async ({ staged }) => await staged?.abort()));
  }

  outcome(): BackupOutcome["sites"] {
    return this.#targets.map(({ site, error }) => ({ site: site.name, ...(error === undefined ? {} : { error }) }));
  }
}

/** After a new one is there, and only those that are older. */
async function forgetOlder(
  ctx: Ctx,
  site: Site,
  { cluster, keep }: { readonly cluster: string; readonly keep: number },
): Promise<void> {
  const found = await backupsAt(ctx, site, cluster);
  for (const { key } of found.slice(0, Math.max(0, found.length - keep))) await site.store.delete(ctx, key);
}

export interface StoredBackup extends BackupName {
  readonly site: SiteName;
  readonly key: string;
  readonly sizeBytes: number;
}

/** The oldest first. */
export async function backupsAt(ctx: Ctx, site: Site, cluster: string): Promise<StoredBackup[]> {
  const found: StoredBackup[] = [];
  let continuation: string | undefined;
  do {
    const page = await site.store.list(ctx, {
      prefix: backupPrefix(cluster),
      limit: 1_000,
      ...(continuation === undefined ? {} : { continuation }),
    });
    for (const { key, sizeBytes } of page.objects) {
      const name = readBackupName(cluster, key);
      if (name !== undefined) found.push({ ...name, site: site.name, key, sizeBytes });
    }
    ({ continuation } = page);
  } while (continuation !== undefined);
  return found;
}

/** Its lines. */
export async function* readBackup(ctx: Ctx, site: Site, key: string): AsyncGenerator<Uint8Array> {
  const { stream } = await site.store.get(ctx, key);
  yield* uncompressed(stream);
}
