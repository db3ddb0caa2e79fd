import type { Command } from "commander";
import { backgroundCtx } from "../../../core/context.ts";
import { EXIT, GfsError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson } from "../../context.ts";
import { CONFIG_HELP, ownConfig } from "../../own-catalog.ts";
import { printable } from "../../terminal.ts";
import { openToRead } from "./catalog.ts";
import { withSites } from "./sites.ts";

interface Options {
  readonly config?: string;
}

export function defineMetaBackup(meta: Command, action: Action): void {
  meta
    .command("backup")
    .description("back the catalog up to the sites now, where `coordinator.backup` says; the coordinator may run")
    .option("--config <file>", CONFIG_HELP)
    .addHelpText("after", examples("globalfs meta backup --config config.yaml"))
    .action(action(metaBackup));
}

async function metaBackup(context: CliContext, options: Options): Outcome {
  const config = await ownConfig(context, options.config);
  const { backUp } = await import("../../../meta/index.ts");
  const { backup, dataDirectory } = config.coordinator;
  const kv = await openToRead(dataDirectory);
  try {
    return await withSites(context, { config, kv }, async (all) => {
      const missing = backup.sites.find((name) => !all.some((site) => site.name === name));
      if (missing !== undefined)
        throw new GfsError("NotFound", `There is no site ${missing}, which coordinator.backup.sites names.`);
      const sites =
        backup.sites.length > 0
          ? all.filter(({ name }) => backup.sites.includes(name))
          : all.filter(({ role }) => role === "primary");
      const ctx = backgroundCtx({ signal: context.signal, requestId: "backup" });
      const deps = { kv, clock: systemClock, cluster: config.global.clusterName };
      const outcome = await backUp(ctx, deps, { sites, keep: backup.keep });
      if (context.json) await printJson(context, outcome);
      else {
        for (const { site, error } of outcome.sites)
          note(
            context,
            error === undefined
              ? `${site}: ${outcome.key}, ${outcome.rows} rows, ${formatSize(outcome.sizeBytes)}`
              : `${site}: FAILED: ${printable(error)}`,
          );
      }
      return outcome.sites.every(({ error }) => error === undefined) ? undefined : EXIT.partial;
    });
  } finally {
    await kv.close();
  }
}
