import type { Lease } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, print, printJson, warn, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { positive } from "../options.ts";
import { type Column, renderTable } from "../table.ts";

interface Options {
  readonly limit: number;
}

export function defineLeases(program: Command, action: Action): void {
  program
    .command("leases")
    .description("list what sessions cover, write to by lease and have locked, and who waits")
    .argument("[path]", "a file or directory, plain or as gfs:path")
    .option("--limit <n>", "at most so many, up to 1000", positive, 100)
    .addHelpText("after", examples("globalfs leases", "globalfs leases datasets/model.bin"))
    .action(action((context, options: Options, [path]) => leases(context, options, path)));
}

const COLUMNS: readonly Column<Lease>[] = [
  { title: "TYPE", value: ({ type }) => type },
  { title: "STATE", value: ({ state }) => state },
  { title: "SESSION", value: ({ session }) => session },
  { title: "HOST", value: ({ host }) => host ?? "-" },
  { title: "WHAT", value: whatOf },
  { title: "PATH", value: ({ path, inode }) => (path === "" ? "/" : (path ?? `inode ${inode}, without a name`)) },
];

async function leases(context: CliContext, { limit }: Options, path: string | undefined): Outcome {
  return withClient(context, async (client) => {
    const query = { limit, signal: context.signal, ...(path === undefined ? {} : { path: keyOf(path) }) };
    const page = await client.leases(query);
    if (context.json) await printJson(context, page);
    else {
      await print(context, renderTable(context.terminal, COLUMNS, page.leases));
      if (page.leases.length === 0) note(context, "Nothing is covered, leased or locked.");
    }
    if (page.more) warn(context, "There are more: --limit shows more at once, and a path fewer.");
    return undefined;
  });
}

function whatOf({ epoch, owner, spans = [] }: Lease): string {
  const bytes = spans.map(({ start, end, mode }) => {
    const to = end >= Number.MAX_SAFE_INTEGER ? "" : String(end - 1);
    return `${mode} ${start}-${to}`;
  });
  return [epoch === undefined ? "" : `epoch ${epoch}`, owner ?? "", bytes.join(", ")].filter(Boolean).join(" ");
}
