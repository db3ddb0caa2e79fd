import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";

export function defineQuotaClear(quota: Command, action: Action): void {
  quota
    .command("clear")
    .description("take the quota of a directory away")
    .argument("<path>", "directory, plain or as gfs:path; / is the whole tree")
    .addHelpText("after", examples("globalfs quota clear datasets/"))
    .action(action((context, _options, [path]) => quotaClear(context, keyOf(path as string))));
}

async function quotaClear(context: CliContext, path: string): Outcome {
  return withClient(context, async (client) => {
    await client.quotas.clear(path, { signal: context.signal });
    if (context.json) await printJson(context, { path, cleared: true });
    else note(context, `${path} has no quota.`);
    return undefined;
  });
}
