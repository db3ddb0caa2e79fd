import type { SessionStatus } from "@globalfs/client";
import type { Command } from "commander";
import { formatDuration } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../../context.ts";
import { type Column, renderTable } from "../../table.ts";

export function defineSessionList(session: Command, action: Action): void {
  session
    .command("list")
    .description("list sessions: since when, how much they cover, and whether changes wait for them")
    .addHelpText("after", examples("globalfs session list", "globalfs session list --json"))
    .action(action(sessionList));
}

async function sessionList(context: CliContext): Outcome {
  return withClient(context, async (client) => {
    const sessions = await client.sessions.list({ signal: context.signal });
    if (context.json) await printJson(context, sessions);
    else {
      await print(context, renderTable(context.terminal, columnsAt(Date.now()), sessions));
      if (sessions.length === 0) note(context, "No client caches anything.");
    }
    return undefined;
  });
}

function columnsAt(nowMs: number): readonly Column<SessionStatus>[] {
  const ago = (time: Date): string => formatDuration(Math.max(0, Math.round((nowMs - time.getTime()) / 1_000) * 1_000));
  return [
    { title: "ID", value: ({ id }) => id },
    { title: "HOST", value: ({ host }) => host },
    { title: "AGE", value: ({ since }) => ago(since), align: "right" },
    { title: "COVERS", value: ({ covered }) => covered?.toString() ?? "-", align: "right" },
    { title: "BEHIND", value: ({ behind }) => behind?.toString() ?? "-", align: "right" },
    { title: "SERVED BY", value: ({ servedBy }) => servedBy ?? "nobody" },
    { title: "STATE", value: (each) => stateOf(each, ago), color: ({ waitedForSince }) => waitedForSince && "red" },
  ];
}

function stateOf({ ending, waitedForSince, trustedForMs }: SessionStatus, ago: (time: Date) => string): string {
  if (ending !== undefined) return ending === "barred" ? "sent away" : "over";
  if (waitedForSince === undefined) return "";
  const atMost = formatDuration(Math.ceil((trustedForMs ?? 0) / 1_000) * 1_000);
  return `changes wait for it since ${ago(waitedForSince)}, for ${atMost} more at most`;
}
