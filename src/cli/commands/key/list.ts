import type { AccessKey } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { shownEnd } from "./columns.ts";
import { type Column, renderTable } from "../../table.ts";

export function defineKeyList(key: Command, action: Action): void {
  key
    .command("list")
    .description("list the keys that you administer, and your own, without their secrets")
    .addHelpText("after", examples("globalfs key list", "globalfs key list --json"))
    .action(action(keyList));
}

async function keyList(context: CliContext): Outcome {
  return withClient(context, async (client) => {
    const keys = await client.keys.list({ signal: context.signal });
    if (context.json) await printJson(context, keys);
    else await print(context, renderTable(context.terminal, COLUMNS, keys));
    return undefined;
  });
}

const COLUMNS: readonly Column<AccessKey>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "USER", value: ({ user }) => user },
  { title: "ROLE", value: ({ grants }) => grants.map(({ role }) => role).join(", ") },
  { title: "PATH", value: shownPath },
  {
    title: "EXPIRES",
    value: shownEnd,
    color: ({ expiresAt }) => (expiresAt !== undefined && expiresAt.getTime() < Date.now() ? "red" : undefined),
  },
];

function shownPath({ grants }: AccessKey): string {
  return grants.map(({ path }) => `/${path}`).join(", ");
}
