import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

export function defineSiteAdopt(site: Command, action: Action): void {
  site
    .command("adopt")
    .description(
      "say that what answers at a site's address is the site: a new disk or bucket, or one that another catalog uses, too",
    )
    .requiredOption("--name <name>", "name of the site")
    .addHelpText("after", examples("globalfs site adopt --name onprem"))
    .action(action(siteAdopt));
}

async function siteAdopt(context: CliContext, { name }: { readonly name: string }): Outcome {
  return withClient(context, async (client) => {
    const site = await client.sites.adopt(name, { signal: context.signal });
    if (context.json) await printJson(context, site);
    else note(context, `Site ${name} lies at ${site.location ?? "its address"} from now on.`);
    return undefined;
  });
}
