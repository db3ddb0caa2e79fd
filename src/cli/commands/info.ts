import type { Command } from "commander";
import { formatDuration, formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { backupText } from "../backup-text.ts";
import { pauseText } from "../pause-text.ts";
import { renderFacts } from "../table.ts";

export function defineInfo(program: Command, action: Action): void {
  program
    .command("info")
    .description("print coordinator runtime statistics")
    .addHelpText("after", examples("globalfs info", "globalfs info --json"))
    .action(action(info));
}

async function info(context: CliContext): Outcome {
  return withClient(context, async (client) => {
    const info = await client.info({ signal: context.signal });
    if (context.json) {
      await printJson(context, info);
      return undefined;
    }
    const roles = Object.entries(info.sitesByRole).map(([role, count]) => `${count} ${role}`);
    const { healthy, unhealthy, lastCheckedAt } = info.health;
    const checked = lastCheckedAt === undefined ? "" : `, checked at ${lastCheckedAt.toISOString()}`;
    await print(
      context,
      renderFacts([
        ["Version", info.version],
        ["Cluster", info.clusterName],
        ["Access", info.access === "open" ? "open: no key is needed" : info.access],
        ["Uptime", formatDuration(Math.round(info.uptimeSeconds) * 1_000)],
        ["Sites", roles.length === 0 ? String(info.sites) : `${info.sites} (${roles.join(", ")})`],
        ["Health", `${healthy} healthy, ${unhealthy} unhealthy${checked}`],
        ["Jobs", info.jobsPaused === undefined ? undefined : `paused ${pauseText(info.jobsPaused)}`],
        ["Queue depth", String(info.replicationQueueDepth)],
        ["Set aside", info.setAsideBytes === undefined ? undefined : formatSize(info.setAsideBytes)],
        ["Leader", info.isLeader ? "yes" : "no"],
        ["Backup", info.backup === undefined ? "none" : backupText(info.backup, Date.now())],
        ["Catalog", info.catalog?.engine],
        ["Entries", info.catalog?.entries.toString()],
      ]),
    );
    return undefined;
  });
}
