import type { SiteStatus } from "@globalfs/client";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { type Column, renderTable } from "../table.ts";

export async function siteList(context: CliContext, options: { readonly long?: boolean }): Outcome {
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
      { title: "LOCATION", value: ({ location }) => location ?? "-" },
      { title: "ERROR", value: ({ error }) => error ?? "" },
    );
  }
  return columns;
}
