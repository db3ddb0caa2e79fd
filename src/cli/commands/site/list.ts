import type { SiteStatus } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { type Column, renderTable } from "../../table.ts";

interface Options {
  readonly long?: boolean;
}

export function defineSiteList(site: Command, action: Action): void {
  site
    .command("list")
    .description("list registered sites with health and circuit state")
    .option("-l, --long", "also location, latency and error")
    .addHelpText("after", examples("globalfs site list", "globalfs site list --json"))
    .action(action(siteList));
}

async function siteList(context: CliContext, options: Options): Outcome {
  return withClient(context, async (client) => {
    const sites = await client.sites.list({ signal: context.signal });
    if (context.json) await printJson(context, sites);
    else await print(context, renderTable(context.terminal, siteColumns(sites, options.long === true), sites));
    return undefined;
  });
}

export function siteColumns(sites: readonly SiteStatus[], long: boolean): Column<SiteStatus>[] {
  const columns: Column<SiteStatus>[] = [
    { title: "NAME", value: ({ name }) => name },
    { title: "ROLE", value: ({ role }) => role },
    {
      title: "STATUS",
      value: ({ healthy }) => (healthy ? "healthy" : "unhealthy"),
      color: ({ healthy }) => (healthy ? "green" : "red"),
    },
  ];
  if (sites.some(({ circuitState }) => circuitState !== undefined)) {
    columns.push({
      title: "CIRCUIT",
      value: ({ circuitState }) => circuitState ?? "-",
      color: ({ circuitState }) => (circuitState === "open" ? "red" : undefined),
    });
  }
  if (long) {
    columns.push(
      {
        title: "LATENCY",
        value: ({ latencyMs }) => (latencyMs === undefined ? "-" : `${latencyMs.toFixed(1)} ms`),
        align: "right",
      },
      { title: "FOREIGN", value: foreignOf },
      { title: "LOCATION", value: ({ location }) => location ?? "-" },
      { title: "ERROR", value: ({ error }) => error ?? "" },
    );
  }
  return columns;
}

function foreignOf({ foreign, importedObjects, importedAt }: SiteStatus): string {
  if (importedObjects === undefined) return foreign ?? "-";
  return importedAt === undefined ? `importing, ${importedObjects} so far` : `imported ${importedObjects}`;
}
