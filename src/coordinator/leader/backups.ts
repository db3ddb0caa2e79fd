import { backgroundCtx } from "../../core/context.ts";
import { toGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import { type BackupOutcome, type BackupState, backUp, readBackupState, writeBackupState } from "../../meta/index.ts";
import type { Site } from "../../stores/index.ts";
import type { BackupSettings, Kit } from "../kit.ts";

/** The leader backs the catalog up to the sites now and then, and remembers in a row how that went, so that everybody can tell. */

export interface Backups {
  start(): void;
  stop(): Promise<void>;
}

/** A catalog that has never been backed up: long enough for a trial to be over. */
const FIRST_AFTER_MS = 600_000;
const AGAIN_AFTER_MS = 300_000;

export function createBackups(kit: Kit): Backups {
  const { clock, log, settings } = kit;
  let stopping = new AbortController();
  let loop: Promise<void> | undefined;

  const run = async (backup: BackupSettings, signal: AbortSignal): Promise<void> => {
    const startedMs = clock.nowMs();
    const { last } = await kit.kv.view(readBackupState);
    if (last !== undefined) kit.lastBackup.set(last.atMs / 1_000);
    while (!signal.aborted) {
      const state = await kit.kv.view(readBackupState);
      await clock.sleep(Math.max(0, dueAtMs(state, backup, startedMs) - clock.nowMs()), signal).catch(() => undefined);
      if (!signal.aborted) await backupTurn(kit, backup, signal);
    }
  };

  return {
    start() {
      const { backup } = settings;
      stopping = new AbortController();
      if (backup === undefined) return;
      loop = run(backup, stopping.signal).catch((error: unknown) => {
        if (!stopping.signal.aborted) log.error("backups_stopped", { error: toGfsError(error).message });
      });
    },
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

function dueAtMs({ last, failure }: BackupState, { everyMs }: BackupSettings, startedMs: number): number {
  if (failure !== undefined) return failure.atMs + Math.min(everyMs, AGAIN_AFTER_MS);
  return last === undefined ? startedMs + Math.min(everyMs, FIRST_AFTER_MS) : last.atMs + everyMs;
}

/** One attempt, and what is to be known of it. */
export async function backupTurn(kit: Kit, backup: BackupSettings, signal: AbortSignal): Promise<void> {
  const { kv, clock, log, settings } = kit;
  const ctx = backgroundCtx({ signal, log, requestId: "backup" });
  let outcome: BackupOutcome | undefined;
  let failed: string | undefined;
  try {
    const sites = sitesFor(kit, backup);
    outcome = await backUp(ctx, { kv, clock, cluster: settings.clusterName }, { sites, keep: backup.keep });
    const away = outcome.sites.filter(({ error }) => error !== undefined);
    const unknown = backup.sites.filter((name) => !sites.some((site) => site.name === name));
    const problems = [
      ...away.map(({ site, error }) => `${site}: ${error}`),
      ...unknown.map((name) => `There is no site ${name}, which coordinator.backup.sites names.`),
    ];
    if (problems.length > 0) failed = problems.join(" ");
  } catch (error) {
    if (signal.aborted) return;
    failed = toGfsError(error, "meta.backup").message;
  }
  if (failed !== undefined) log.error("backup_failed", { error: failed });
  if (outcome !== undefined)
    log.info("backup_made", { key: outcome.key, rows: outcome.rows, sizeBytes: outcome.sizeBytes });
  kit.backupsTotal.add(1, { outcome: failed === undefined ? "whole" : outcome === undefined ? "failed" : "partial" });
  if (outcome !== undefined) kit.lastBackup.set(outcome.atMs / 1_000);
  const atMs = clock.nowMs();
  const last = outcome;
  await kv.transact(function* (tx): Program<void> {
    const before = yield* readBackupState(tx);
    const newest = last ?? before.last;
    const state: BackupState = {
      ...(newest === undefined ? {} : { last: newest }),
      ...(failed === undefined ? {} : { failure: { atMs, error: failed } }),
    };
    writeBackupState(tx, state);
  });
}

function sitesFor({ sites }: Kit, backup: BackupSettings): readonly Site[] {
  const named = sites.list().filter(({ name }) => backup.sites.includes(name));
  return backup.sites.length > 0 ? named : sites.list().filter(({ role }) => role === "primary");
}
