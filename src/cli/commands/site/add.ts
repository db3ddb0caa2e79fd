import { type Command, Option } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";

interface Options {
  readonly name: string;
  readonly uri: string;
  readonly role: "primary" | "burst" | "backup";
  readonly adopt?: boolean;
  readonly foreign?: "merge" | "import" | "ignore";
}

export function defineSiteAdd(site: Command, action: Action): void {
  site
    .command("add")
    .description("register a new site at run time")
    .requiredOption("--name <name>", "unique name of the site")
    .requiredOption("--uri <uri>", "s3://bucket[?region=R&endpoint=URL], gs://, azure://, file:// or memory://")
    .addOption(
      new Option("--role <role>", "role of the site").choices(["primary", "burst", "backup"]).makeOptionMandatory(),
    )
    .option("--adopt", "also when the place is a site of another catalog already")
    .addOption(
      new Option(
        "--foreign <policy>",
        "objects there that GlobalFS did not write: shown as they come, taken in once, or nothing (default: merge)",
      ).choices(["merge", "import", "ignore"]),
    )
    .addHelpText(
      "after",
      examples('globalfs site add --name cloud2 --uri "s3://my-bucket?region=eu-west-1" --role burst'),
    )
    .action(action(siteAdd));
}

async function siteAdd(context: CliContext, options: Options): Outcome {
  const { name, uri, role, adopt, foreign } = options;
  return withClient(context, async (client) => {
    const site = await client.sites.add(
      { name, uri, role, ...(adopt === true ? { adopt } : {}), ...(foreign === undefined ? {} : { foreign }) },
      { signal: context.signal },
    );
    if (context.json) await printJson(context, site);
    else note(context, `Added site ${name} (${role}).`);
    return undefined;
  });
}
