import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

export function defineSiteRemove(site: Command, action: Action): void {
  site
    .command("remove")
    .description("deregister a site; its objects stay where they are")
    .requiredOption("--name <name>", "name of the site")
    .option("--force", "also when no primary is left or objects have their only copy there")
    .addHelpText("after", examples("globalfs site remove --name cloud2"))
    .action(action(siteRemove));
}

async function siteRemove(
  context: CliContext,
  { name, force }: { readonly name: string; readonly force?: boolean },
): Outcome {
  return withClient(context, async (client) => {
    await client.sites.remove(name, { signal: context.signal, ...(force === undefined ? {} : { force }) });
    if (context.json) await printJson(context, { name, removed: true });
    else note(context, `Removed site ${name}. Its objects stay where they are.`);
    return undefined;
  });
}
