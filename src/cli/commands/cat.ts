import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { copyToStdout, getObject } from "../copy/download.ts";
import { type CliContext, type Outcome, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { KEY_HELP } from "../options.ts";
import { createProgress } from "../progress.ts";

export function defineCat(program: Command, action: Action): void {
  program
    .command("cat")
    .description("write objects to stdout, one after the other")
    .argument("<key...>", KEY_HELP)
    .addHelpText("after", examples("globalfs cat my-key", "globalfs cat part-1 part-2 > whole"))
    .action(action((context, _options, keys) => cat(context, keys)));
}

async function cat(context: CliContext, keys: readonly string[]): Outcome {
  return withClient(context, async (client) => {
    for (const key of keys) {
      const download = await getObject(client, keyOf(key), context.signal);
      // No bar: the objects themselves go to the terminal that would show it.
      await copyToStdout(context, download, createProgress({ ...context, json: true }, { label: key, unit: "bytes" }));
    }
    return undefined;
  });
}
