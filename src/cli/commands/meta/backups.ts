import type { Command } from "commander";
import { backgroundCtx } from "../../../core/context.ts";
import { EXIT, toGfsError } from "../../../core/errors.ts";
import type { StoredBackup } from "../../../meta/index.ts";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, warn } from "../../context.ts";
import { CONFIG_HELP, ownConfig } from "../../own-catalog.ts";
import { type Column, renderTable } from "../../table.ts";
import { learnPlaces, withSites } from "./sites.ts";

interface Options {
  readonly config?: string;
}

export function defineMetaBackups(meta: Command, action: Action): void {
  meta
    .command("backups")
    .description("list the backups of the catalog at the sites, the newest first; needs no catalog")
    .option("--config <file>", CONFIG_HELP)
    .addHelpText("after", examples("globalfs meta backups --config config.yaml"))
    .action(action(metaBackups));
}

const columns: readonly Column<StoredBackup>[] = [
  { title: "MADE", value: ({ atMs }) => new Date(atMs).toISOString() },
  { title: "SITE", value: ({ site }) => site },
  { title: "REVISION", value: ({ revision }) => String(revision) },
  { title: "SIZE", value: ({ sizeBytes }) => formatSize(sizeBytes) },
  { title: "KEY", value: ({ key }) => key },
];

async function metaBackups(context: CliContext, options: Options): Outcome {
  const config = await ownConfig(context, options.config);
  const [{ backupsAt }, { createMemoryKv }] = await Promise.all([
    import("../../../meta/index.ts"),
    import("../../../kv/index.ts"),
  ]);
  const kv = createMemoryKv();
  const found: StoredBackup[] = [];
  let failed = await learnPlaces(context, { config, kv });
  await withSites(context, { config, kv, without: failed }, async (sites) => {
    for (const site of sites) {
      try {
        const ctx = backgroundCtx({ signal: context.signal, requestId: "backups" });
        found.push(...(await backupsAt(ctx, site, config.global.clusterName)));
      } catch (error) {
        failed = [...failed, { name: site.name, error: toGfsError(error).message }];
      }
    }
  });
  found.sort((one, other) => other.atMs - one.atMs);
  if (context.json) await printJson(context, found);
  else await print(context, renderTable(context.terminal, columns, found));
  for (const { name, error } of failed) warn(context, `Site ${name} was not asked: ${error}`);
  return failed.length === 0 ? undefined : EXIT.partial;
}
