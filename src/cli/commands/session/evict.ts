import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

export function defineSessionEvict(session: Command, action: Action): void {
  session
    .command("evict")
    .description("send a session away; what it holds is let go of as soon as it cannot trust that any longer")
    .argument("<id>", "the session's id, as `globalfs session list` shows it")
    .addHelpText("after", examples("globalfs session evict 1f0c9b7a5d3e2c4b6a891234"))
    .action(action((context, _options, [id]) => sessionEvict(context, id as string)));
}

async function sessionEvict(context: CliContext, id: string): Outcome {
  return withClient(context, async (client) => {
    await client.sessions.evict(id, { signal: context.signal });
    if (context.json) await printJson(context, { id, evicted: true });
    else note(context, `${id} gets nothing any more, and is over within half a minute.`);
    return undefined;
  });
}
