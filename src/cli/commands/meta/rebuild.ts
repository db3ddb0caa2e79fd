import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { backgroundCtx } from "../../../core/context.ts";
import { EXIT, GfsError } from "../../../core/errors.ts";
import type { VersionId } from "../../../core/ids.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Kv, Program } from "../../../kv/index.ts";
import type { CheckReport, FoundBackup, RebuildReport } from "../../../meta/index.ts";
import type { Site } from "../../../stores/index.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson } from "../../context.ts";
import { CONFIG_HELP, ownConfig } from "../../own-catalog.ts";
import { createProgress, type Progress } from "../../progress.ts";
import { printable } from "../../terminal.ts";
import { learnPlaces, type Unanswered, withSites } from "./sites.ts";

interface Options {
  readonly config?: string;
  readonly fromSites?: boolean;
  readonly dryRun?: boolean;
  readonly partial?: boolean;
}

export function defineMetaRebuild(meta: Command, action: Action): void {
  meta
    .command("rebuild")
    .description(
      "make a lost catalog again, where there is none and no coordinator runs, from the newest backup and what the sites hold; the sites are only read",
    )
    .option("--config <file>", CONFIG_HELP)
    .option("--from-sites", "from the objects alone, without a backup")
    .option("--dry-run", "make it in a temporary directory, say what it would be, and throw it away")
    .option("--partial", "go on although some sites do not answer; what only they hold is missing")
    .addHelpText(
      "after",
      examples(
        "globalfs meta rebuild --config config.yaml --dry-run",
        "globalfs meta rebuild --config config.yaml",
        "globalfs meta rebuild --config config.yaml --from-sites",
      ),
    )
    .action(action(metaRebuild));
}

async function metaRebuild(context: CliContext, options: Options): Outcome {
  const config = await ownConfig(context, options.config);
  const { createMemoryKv, makeLmdbCatalog } = await import("../../../kv/index.ts");
  const places = createMemoryKv();
  const unanswered = await learnPlaces(context, { config, kv: places });
  for (const { name, error } of unanswered) note(context, `Site ${name} does not take part: ${error}`);
  if (unanswered.length > 0 && options.partial !== true)
    throw new GfsError(
      "Unavailable",
      `Site ${unanswered[0]?.name} does not answer: ${unanswered[0]?.error} What is not seen is not gone: mend that, or go on with --partial.`,
      { op: "meta.rebuild" },
    );
  const directory =
    options.dryRun === true ? await mkdtemp(join(tmpdir(), "globalfs-rebuild-")) : config.coordinator.dataDirectory;
  const progress = createProgress(context, { label: "Rebuilding", unit: "items" });
  let made: Made;
  try {
    made = await withSites(context, { config, kv: places, without: unanswered }, async (sites) => {
      const cluster = config.global.clusterName;
      const backup = options.fromSites === true ? undefined : await newest(context, { sites, cluster, progress });
      return await makeLmdbCatalog({
        directory,
        resume: true,
        leastRevision: backup?.revision ?? 0,
        fill: async (kv) => await fill(context, { kv, places, sites, backup, progress, cluster }),
      });
    });
  } finally {
    progress.end();
    if (options.dryRun === true) await rm(directory, { recursive: true, force: true });
  }
  return await tell(context, { ...made, unanswered, directory, isDry: options.dryRun === true });
}

interface Made {
  readonly report: RebuildReport;
  readonly check: CheckReport;
}

async function newest(
  { signal }: CliContext,
  { sites, cluster, progress }: Pick<Fill, "sites" | "cluster" | "progress">,
): Promise<FoundBackup> {
  const { findBackup } = await import("../../../meta/index.ts");
  progress.label("Looking for the newest whole backup");
  return await findBackup(backgroundCtx({ signal, requestId: "rebuild" }), { sites, cluster });
}

interface Fill {
  readonly kv: Kv;
  readonly places: Kv;
  readonly sites: readonly Site[];
  readonly backup: FoundBackup | undefined;
  readonly progress: Progress;
  readonly cluster: string;
}

async function fill(context: CliContext, { kv, places, sites, backup, progress, cluster }: Fill): Promise<Made> {
  const [{ checkMeta, rebuild }, { checkJobs }, { checkSetAside }, { ulid }] = await Promise.all([
    import("../../../meta/index.ts"),
    import("../../../mover/index.ts"),
    import("../../../coordinator/index.ts"),
    import("ulidx"),
  ]);
  const { signal } = context;
  const report = await rebuild(
    backgroundCtx({ signal, requestId: "rebuild" }),
    { kv, clock: systemClock, cluster, sites, versionIdAt: (atMs) => ulid(Math.max(0, Math.floor(atMs))) as VersionId },
    {
      ...(backup === undefined ? {} : { backup }),
      onStep: (step) => progress.label(step),
      onItems: (count) => progress.advance(count),
    },
  );
  for (const { name } of sites) await keepPlace(kv, places, name);
  progress.label("Checking");
  return { report, check: await checkMeta(kv, { checkJobs, checkSetAside }, { signal, mostFindings: 20 }) };
}

/** The coordinator takes the sites for its own then. A backup that knows another place for one is of another site. */
async function keepPlace(kv: Kv, places: Kv, site: string): Promise<void> {
  const { encodeKey } = await import("../../../kv/index.ts");
  const key = encodeKey("coordinator-place", site);
  const found = await places.view((tx) => tx.get(key));
  if (found === undefined) return;
  const idOf = (row: Uint8Array): unknown => (JSON.parse(Buffer.from(row).toString()) as { readonly id?: unknown }).id;
  await kv.transact(function* (tx): Program<void> {
    const known = yield* tx.get(key);
    if (known === undefined) tx.put(key, found);
    else if (idOf(known) !== undefined && idOf(known) !== idOf(found))
      throw new GfsError(
        "Conflict",
        `Site ${site} is another place than the one that the backup knows: mount its disk or correct its address.`,
        { op: "meta.rebuild" },
      );
  });
}

interface Told extends Made {
  readonly unanswered: readonly Unanswered[];
  readonly directory: string;
  readonly isDry: boolean;
}

async function tell(context: CliContext, { report, check, unanswered, directory, isDry }: Told): Outcome {
  const { taken, missing, backup } = report;
  if (context.json) await printJson(context, { ...report, check, unanswered, dryRun: isDry });
  else {
    const from = backup === undefined ? "the sites alone" : `${backup.key} at ${backup.site} and the sites`;
    note(
      context,
      `${isDry ? "Would be made" : `${directory} was made`} from ${from}: ${check.files} files, ${check.directories} directories, ${check.olderVersions} older versions, from ${report.objects} objects.`,
    );
    if (taken.lost > 0)
      note(context, `${taken.lost} objects have no path, or lost it to a newer one: they are in lost+found/.`);
    if (report.refused > 0)
      note(context, `${report.refused} objects have keys that no path can name, and were left alone.`);
    if (missing.copies > 0)
      note(context, `${missing.copies} copies that the backup knows are not at their sites any more.`);
    for (const path of missing.examples) note(context, `Gone since the backup: ${printable(path)}`);
    if (missing.files > missing.examples.length)
      note(context, `and ${missing.files - missing.examples.length} more, ${missing.files} in all.`);
    for (const { sentence, fix } of check.findings) note(context, `${printable(sentence)} ${fix}`);
  }
  if (check.faults > 0) return EXIT.failure;
  return unanswered.length > 0 ? EXIT.partial : undefined;
}
