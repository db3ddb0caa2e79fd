import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { renderFacts } from "../../table.ts";
import { shownEnd, shownGrants } from "./columns.ts";

export function defineKeyShow(key: Command, action: Action): void {
  key
    .command("show")
    .description("show one key, without its secret; without an id the one that this command uses")
    .argument("[id]", "id of the key")
    .addHelpText("after", examples("globalfs key show", "globalfs key show GFSKABCDEFGHIJKLMNOP"))
    .action(action((context, _options, [id]) => keyShow(context, id ?? "self")));
}

async function keyShow(context: CliContext, id: string): Outcome {
  return withClient(context, async (client) => {
    const key = await client.keys.get(id, { signal: context.signal });
    if (context.json) {
      await printJson(context, key);
      return undefined;
    }
    const lines = [
      ["Key", key.id],
      ["User", key.user],
      ["May", shownGrants(key)],
      ["Made", `${key.createdAt?.toISOString() ?? "?"}${key.createdBy === undefined ? "" : ` by ${key.createdBy}`}`],
      ["Ends", shownEnd(key)],
    ] as const;
    await print(context, renderFacts(lines));
    return undefined;
  });
}
