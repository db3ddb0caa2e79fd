import type { AccessGrant, AccessRole } from "@globalfs/client";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../../context.ts";
import { UsageError } from "../../failure.ts";
import { shownGrants } from "./columns.ts";
import { durationMs } from "../../options.ts";

const ROLES: readonly AccessRole[] = ["reader", "writer", "admin", "user"];

interface Options {
  readonly name: string;
  /** Path and role are given together. */
  readonly path?: string;
  readonly role?: AccessRole;
  readonly grant?: readonly AccessGrant[];
  /** Milliseconds. */
  readonly expires?: number;
}

export function defineKeyCreate(key: Command, action: Action): void {
  key
    .command("create")
    .description("make a key, and show it in both its forms: for S3 clients, and as a token for REST and this command")
    .requiredOption("--name <user>", "user it speaks for, who owns what it writes")
    .option("--path <path>", "what it may touch: a bucket or a path below one; / is everything")
    .addOption(
      new Option(
        "--role <role>",
        "reader and writer: objects below the path; admin: everything below it; user: buckets of its own",
      ).choices(ROLES),
    )
    .option("--grant <path:role>", "one more path with a role of its own; may be given several times", grant)
    .option("--expires <duration>", "make it temporary, with a session token, such as 12h", durationMs)
    .addHelpText(
      "after",
      examples(
        "globalfs key create --name alice --path / --role admin",
        "globalfs key create --name reports --path data/reports --role reader --expires 12h",
        "globalfs key create --name etl --grant raw:reader --grant data/tables:writer",
      ),
    )
    .action(action(keyCreate));
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

async function keyCreate(context: CliContext, options: Options): Outcome {
  const { name, expires } = options;
  const grants = grantsOf(options);
  return withClient(context, async (client) => {
    const key = await client.keys.create(
      {
        user: name,
        grants,
        ...(expires === undefined ? {} : { expiresInSeconds: Math.ceil(expires / 1_000) }),
      },
      { signal: context.signal },
    );
    if (context.json) await printJson(context, key);
    else {
      note(context, `Key ${key.id} of ${name} (${shownGrants(key)}). It is shown only now.`);
      const lines = [
        ["AWS_ACCESS_KEY_ID", key.id],
        ["AWS_SECRET_ACCESS_KEY", key.secret],
        ...(key.sessionToken === undefined ? [] : [["AWS_SESSION_TOKEN", key.sessionToken]]),
        ["GLOBALFS_API_KEY", key.token],
      ];
      // What a shell can take as it is: generated keys have no character that it would change.
      await print(context, lines.map(([variable, value]) => `export ${variable}=${value}\n`).join(""));
    }
    return undefined;
  });
}

function grantsOf({ path, role, grant = [] }: Options): AccessGrant[] {
  if ((path === undefined) !== (role === undefined)) throw new UsageError("Give --path and --role together.");
  const first = path === undefined || role === undefined ? [] : [{ path, role }];
  const grants = [...first, ...grant].map((each) => ({ ...each, path: each.path.replace(/^\//, "") }));
  if (grants.length === 0) {
    throw new UsageError(
      "Say what the key may do: --path PATH --role ROLE, or --grant PATH:ROLE, several times if need be.",
    );
  }
  return grants;
}
