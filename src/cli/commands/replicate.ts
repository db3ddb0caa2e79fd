import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { followJob } from "./jobs/show.ts";

interface Options {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  readonly wait?: boolean;
}

export function defineReplicate(program: Command, action: Action): void {
  program
    .command("replicate")
    .description("copy an object from one site to another")
    .requiredOption("--key <key>", "the object's key")
    .requiredOption("--from <site>", "site to read from")
    .requiredOption("--to <site>", "site to write to")
    .option("--wait", "wait until it is done")
    .addHelpText("after", examples("globalfs replicate --key data/a.bin --from onprem --to cloud --wait"))
    .action(action(replicate));
}

async function replicate(context: CliContext, options: Options): Outcome {
  const { from, to, wait } = options;
  const key = keyOf(options.key);
  return withClient(context, async (client) => {
    const job = await client.replicate({ key, from, to }, { signal: context.signal });
    if (wait === true) return followJob(context, client, job.id);
    if (context.json) await printJson(context, job);
    else note(context, `Queued ${key} from ${from} to ${to} as job ${job.id}.`);
    return undefined;
  });
}
