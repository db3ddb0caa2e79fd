import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";
import { KEY_HELP } from "../../options.ts";
import { removeObject } from "../../remove/remove-object.ts";

export function defineObjectDelete(object: Command, action: Action): void {
  object
    .command("delete")
    .description("delete an object from all sites")
    .argument("<key>", KEY_HELP)
    .addHelpText("after", examples("globalfs object delete my-key"))
    .action(action((context, _options, [key]) => objectDelete(context, keyOf(key as string))));
}

async function objectDelete(context: CliContext, key: string): Outcome {
  return withClient(context, async (client) => {
    const { pendingSites } = await removeObject(client, key, context.signal);
    if (context.json) await printJson(context, { key, deleted: true, pendingSites });
    else note(context, `Deleted ${key}.`);
    if (pendingSites.length > 0 && !context.json) {
      note(context, `Jobs are queued to delete its copies at: ${pendingSites.join(", ")}.`);
    }
    return undefined;
  });
}
