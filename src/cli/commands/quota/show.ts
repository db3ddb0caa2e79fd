import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";
import { usageText } from "./usage-text.ts";

export function defineQuotaShow(quota: Command, action: Action): void {
  quota
    .command("show")
    .description("how much lies below a directory, and how much may")
    .argument("[path]", "directory, plain or as gfs:path")
    .addHelpText("after", examples("globalfs quota show datasets/"))
    .action(action((context, _options, [path = ""]) => quotaShow(context, keyOf(path))));
}

async function quotaShow(context: CliContext, path: string): Outcome {
  return withClient(context, async (client) => {
    const usage = await client.quotas.show(path, { signal: context.signal });
    if (context.json) await printJson(context, usage);
    else await print(context, usageText(usage));
    return undefined;
  });
}
