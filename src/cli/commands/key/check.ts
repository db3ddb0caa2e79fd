import type { Permissions } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../../context.ts";
import { type Column, renderTable } from "../../table.ts";

interface Options {
  readonly action?: string;
}

export function defineKeyCheck(key: Command, action: Action): void {
  key
    .command("check")
    .description("what a key may do with a path, and which grant, policy or owner decides it")
    .argument("<id>", "id of the key; `self` is the one that this command uses")
    .argument("<path>", "an object, or with a slash at the end a directory")
    .option("--action <action>", "read, list, write, delete, admin, or one of S3's; exit code 5 when it is not allowed")
    .addHelpText(
      "after",
      examples(
        "globalfs key check GFSKABCDEFGHIJKLMNOP data/reports/may.csv",
        "globalfs key check self data/reports/ --action write",
        "globalfs key check GFSKABCDEFGHIJKLMNOP data/a --action s3:PutObjectTagging --json",
      ),
    )
    .action(
      action((context, options: Options, [id, path]) => keyCheck(context, options, [id as string, path as string])),
    );
}

const REFUSED = 5;

async function keyCheck(
  context: CliContext,
  { action }: Options,
  [id, path]: readonly [id: string, path: string],
): Outcome {
  return withClient(context, async (client) => {
    const found = await client.keys.permissions(
      { id, path, ...(action === undefined ? {} : { action }) },
      { signal: context.signal },
    );
    if (context.json) await printJson(context, found);
    else {
      if (found.expired) note(context, `Key ${found.id} has expired: nobody gets in with it any more.`);
      await print(context, renderTable(context.terminal, COLUMNS, found.permissions));
    }
    const refused = action !== undefined && (found.expired || found.permissions.some(({ allowed }) => !allowed));
    return refused ? REFUSED : undefined;
  });
}

const COLUMNS: readonly Column<Permissions["permissions"][number]>[] = [
  { title: "ACTION", value: ({ action }) => action },
  {
    title: "ALLOWED",
    value: ({ allowed }) => (allowed ? "yes" : "no"),
    color: ({ allowed }) => (allowed ? "green" : "red"),
  },
  { title: "BECAUSE", value: ({ because }) => because },
];
