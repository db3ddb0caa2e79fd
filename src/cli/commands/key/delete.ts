import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

export function defineKeyDelete(key: Command, action: Action): void {
  key
    .command("delete")
    .description("delete an access key of S3 clients; what it signs from now on is refused")
    .argument("<id>", "id of the access key")
    .addHelpText("after", examples("globalfs key delete GFSKABCDEFGHIJKLMNOP"))
    .action(action((context, _options, [id]) => keyDelete(context, id as string)));
}

async function keyDelete(context: CliContext, id: string): Outcome {
  return withClient(context, async (client) => {
    await client.keys.delete(id, { signal: context.signal });
    if (context.json) await printJson(context, { id, deleted: true });
    else note(context, `Deleted access key ${id}.`);
    return undefined;
  });
}
