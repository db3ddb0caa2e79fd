import type { Command } from "commander";
import { EXIT } from "../../core/errors.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { backupText } from "../backup-text.ts";
import { pauseText } from "../pause-text.ts";
import { renderTable } from "../table.ts";
import { paint, printable } from "../terminal.ts";
import { siteColumns } from "./site/list.ts";

export function defineStatus(program: Command, action: Action): void {
  program
    .command("status")
    .description("print overall health; exits non-zero if any primary site is degraded")
    .addHelpText("after", examples("globalfs status", "globalfs status && echo all well"))
    .action(action(status));
}

async function status(context: CliContext): Outcome {
  const { signal, terminal } = context;
  return withClient(context, async (client) => {
    const health = await client.health({ signal });
    const sites = await client.sites.list({ signal });
    const { access, jobsPaused, backup } = await client.info({ signal });
    if (context.json)
      await printJson(context, {
        ...health,
        access,
        sites,
        ...(jobsPaused && { jobsPaused }),
        ...(backup && { backup }),
      });
    else {
      const title = health.healthy ? paint(terminal, "green", "HEALTHY") : paint(terminal, "red", "DEGRADED");
      const problems = health.problems.map(({ site, error }) => `  ${printable(site)}: ${printable(error)}\n`).join("");
      const open =
        access === "open"
          ? `${paint(terminal, "red", "OPEN")}: every user of its machine may read, change and delete everything, without a key\n`
          : "";
      const paused =
        jobsPaused === undefined
          ? ""
          : `${paint(terminal, "yellow", "PAUSED")}: no job runs ${printable(pauseText(jobsPaused))}; globalfs jobs resume --all lets them go on\n`;
      const saved = backup === undefined ? "" : `Backup of the catalog: ${printable(backupText(backup, Date.now()))}\n`;
      await print(
        context,
        `${title}\n${open}${problems}${paused}${saved}\n${renderTable(terminal, siteColumns(sites, false), sites)}`,
      );
    }
    return health.healthy ? undefined : EXIT.failure;
  });
}
