import type { SiteSpace, TreeSpace } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { renderFacts, renderTable } from "../table.ts";

export function defineDf(program: Command, action: Action): void {
  program
    .command("df")
    .description("how much is there, and how much may still come: by quotas, and at each site")
    .argument("[path]", "file or directory, plain or as gfs:path: of the nearest quota above it")
    .addHelpText("after", examples("globalfs df", "globalfs df datasets/ --json"))
    .action(action((context, _options, [path = ""]) => df(context, keyOf(path))));
}

async function df(context: CliContext, path: string): Outcome {
  return withClient(context, async (client) => {
    const space = await client.files.space(path, { signal: context.signal });
    if (context.json) await printJson(context, space);
    else await print(context, `${textOf(space)}\n${sitesText(context, space.sites)}`);
    return undefined;
  });
}

function textOf({ path, bytes, inodes, olderBytes, leftBytes, leftInodes }: TreeSpace): string {
  const shown = (size: number): string => `${size} (${formatSize(size)})`;
  return renderFacts([
    ["Path", path === "" ? "/" : path],
    ["Files", shown(bytes)],
    ["Older versions", olderBytes === 0 ? undefined : shown(olderBytes)],
    ["Bytes left", leftBytes === undefined ? "unknown" : shown(leftBytes)],
    ["Inodes", String(inodes)],
    ["Inodes left", leftInodes === undefined ? undefined : String(leftInodes)],
  ]);
}

function sitesText(context: CliContext, sites: readonly SiteSpace[]): string {
  const shown = (size: number | undefined): string => (size === undefined ? "" : formatSize(size));
  return renderTable<SiteSpace>(
    context.terminal,
    [
      { title: "SITE", value: ({ site }) => site },
      { title: "ROLE", value: ({ role }) => role },
      { title: "SIZE", value: ({ totalBytes }) => shown(totalBytes), align: "right" },
      { title: "FREE", value: ({ freeBytes }) => shown(freeBytes), align: "right" },
      { title: "NOTE", value: ({ error, freeBytes }) => error ?? (freeBytes === undefined ? "does not tell" : "") },
    ],
    sites,
  );
}
