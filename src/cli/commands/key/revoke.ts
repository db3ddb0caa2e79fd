import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

export function defineKeyRevoke(key: Command, action: Action): void {
  key
    .command("revoke")
    .description("end a key for good: from now on nobody gets in with it, nor with what it has signed")
    .argument("<id>", "id of the key")
    .addHelpText("after", examples("globalfs key revoke GFSKABCDEFGHIJKLMNOP"))
    .action(action((context, _options, [id]) => keyRevoke(context, id as string)));
}

async function keyRevoke(context: CliContext, id: string): Outcome {
  return withClient(context, async (client) => {
    await client.keys.revoke(id, { signal: context.signal });
    if (context.json) await printJson(context, { id, revoked: true });
    else note(context, `Revoked key ${id}.`);
    return undefined;
  });
}
