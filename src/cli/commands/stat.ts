import type { FileInfo } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { octal, PATH_HELP, symbolic } from "../modes.ts";
import { renderFacts } from "../table.ts";

export function defineStat(program: Command, action: Action): void {
  program
    .command("stat")
    .description("what a file system tells of a path: kind, mode, owner, links, times, extended attributes")
    .argument("<path...>", PATH_HELP)
    .addHelpText("after", examples("globalfs stat my-key", "globalfs stat datasets datasets/a --json"))
    .action(action((context, _options, paths) => stat(context, paths.map(keyOf))));
}

async function stat(context: CliContext, paths: readonly string[]): Outcome {
  return withClient(context, async (client) => {
    const { signal } = context;
    for (const [index, path] of paths.entries()) {
      const file = await client.files.stat(path, { signal });
      const extended = await client.files.extended(path, { signal });
      if (context.json) await printJson(context, { ...file, mode: octal(file.mode), extended: Object.keys(extended) });
      else await print(context, `${index === 0 ? "" : "\n"}${textOf(file, Object.keys(extended))}`);
    }
    return undefined;
  });
}

function textOf(file: FileInfo, extended: readonly string[]): string {
  return renderFacts([
    ["Path", file.path === "" ? "/" : file.path],
    ["Kind", file.target === undefined ? file.kind : `${file.kind} to ${file.target}`],
    ["Size", `${file.size} (${formatSize(file.size)})`],
    ["Mode", `${octal(file.mode)} (${symbolic(file)})`],
    ["Owner", `${file.uid}:${file.gid}`],
    ["Links", String(file.links)],
    ["Inode", String(file.inode)],
    ["Device", file.device === undefined ? undefined : String(file.device)],
    ["Accessed", file.accessedAt.toISOString()],
    ["Modified", file.modifiedAt.toISOString()],
    ["Changed", file.changedAt.toISOString()],
    ["Created", file.createdAt.toISOString()],
    ["Extended", extended.length === 0 ? undefined : extended.join(", ")],
  ]);
}
