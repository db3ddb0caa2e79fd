import { basename } from "node:path";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";

interface Options {
  readonly symbolic?: boolean;
}

export function defineLn(program: Command, action: Action): void {
  program
    .command("ln")
    .description("give a file one more name, or with -s make a symbolic link")
    .argument("<target>", "the file; with -s any path, kept as it is and followed by mounts alone")
    .argument("<path>", "the new name; with / at its end, the directory it goes into")
    .option("-s, --symbolic", "a symbolic link")
    .addHelpText(
      "after",
      examples("globalfs ln data/report data/report-1", "globalfs ln -s ../data/report links/report"),
    )
    .action(
      action((context, options: Options, [target, path]) => ln(context, target as string, path as string, options)),
    );
}

async function ln(context: CliContext, target: string, word: string, { symbolic }: Options): Outcome {
  return withClient(context, async (client) => {
    const { signal } = context;
    const key = keyOf(word);
    const path = key.endsWith("/") ? key + basename(target) : key;
    const made =
      symbolic === true
        ? await client.files.symlink(target, path, { signal })
        : await client.files.link(keyOf(target), path, { signal });
    if (context.json) await printJson(context, { path, kind: made.kind, links: made.links });
    else note(context, symbolic === true ? `${path} leads to ${target}.` : `${path} is one of ${made.links} names.`);
    return undefined;
  });
}
