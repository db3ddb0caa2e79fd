import type { AccessGrant, AccessRole } from "@globalfs/client";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDurationMs } from "../core/units.ts";
import { type Action, examples } from "./action.ts";
import type { AccessKeyOptions } from "./commands/access-key.ts";
import type { GlobalOptions } from "./context.ts";

const ROLES: readonly AccessRole[] = ["reader", "writer", "admin", "user"];

/** Two kinds of keys: those that S3 clients sign with live in the catalog; those of the REST API live in the configuration. */
export function addKeyCommands(program: Command, action: Action): void {
  const key = program.command("key").description("access keys of S3 clients, and API keys of the REST API");
  key
    .command("create")
    .description("make an access key for S3 clients; its secret is shown only now")
    .requiredOption("--name <user>", "user it speaks for, who owns what it writes")
    .option("--path <path>", "what it may touch: a bucket or a path below one; / is everything")
    .addOption(
      new Option(
        "--role <role>",
        "reader and writer: objects below the path; admin: everything below it; user: buckets of its own",
      ).choices(ROLES),
    )
    .option("--grant <path:role>", "one more path with a role of its own; may be given several times", grant)
    .option("--expires <duration>", "make it temporary, with a session token, such as 12h", duration)
    .addHelpText(
      "after",
      examples(
        "globalfs key create --name alice --path / --role admin",
        "globalfs key create --name reports --path data/reports --role reader --expires 12h",
        "globalfs key create --name etl --grant raw:reader --grant data/tables:writer",
      ),
    )
    .action(
      action(async (context, options: GlobalOptions & AccessKeyOptions) =>
        (await import("./commands/access-key.ts")).keyCreate(context, options),
      ),
    );
  key
    .command("list")
    .description("list the access keys of S3 clients, without their secrets")
    .addHelpText("after", examples("globalfs key list", "globalfs key list --json"))
    .action(action(async (context) => (await import("./commands/access-key.ts")).keyList(context)));
  key
    .command("delete")
    .description("delete an access key of S3 clients; what it signs from now on is refused")
    .argument("<id>", "id of the access key")
    .addHelpText("after", examples("globalfs key delete GFSKABCDEFGHIJKLMNOP"))
    .action(
      action(async (context, _options, [id]) =>
        (await import("./commands/access-key.ts")).keyDelete(context, id as string),
      ),
    );
  key
    .command("generate")
    .description("make an API key for the REST API, and the lines that let a coordinator accept it")
    .option("--name <name>", "who will hold the key", "somebody")
    .addHelpText("after", examples("globalfs key generate --name alice"))
    .action(
      action(async (context, options: GlobalOptions & { readonly name: string }) =>
        (await import("./commands/key.ts")).keyGenerate(context, options),
      ),
    );
  key
    .command("hash")
    .description("read an API key of the REST API from stdin and print its hash for security.api_keys")
    .addHelpText("after", examples('printf %s "$KEY" | globalfs key hash'))
    .action(action(async (context) => (await import("./commands/key.ts")).keyHash(context)));
}

/** The role stands behind the last colon; a path may have others. */
function grant(text: string, before: readonly AccessGrant[] | undefined): readonly AccessGrant[] {
  const colon = text.lastIndexOf(":");
  const role = ROLES.find((known) => known === text.slice(colon + 1));
  if (colon < 1 || role === undefined) {
    throw new InvalidArgumentError(`Write PATH:ROLE, such as data/reports:reader; roles are ${ROLES.join(", ")}.`);
  }
  return [...(before ?? []), { path: text.slice(0, colon), role }];
}

function duration(text: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
