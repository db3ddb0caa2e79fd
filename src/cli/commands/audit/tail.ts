import { setTimeout as sleep } from "node:timers/promises";
import type { AuditLine, AuditPage, Client } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, jsonForm, type Outcome, print, printJson, withClient } from "../../context.ts";
import { positive } from "../../options.ts";
import { jsonText, printable } from "../../terminal.ts";

interface Options {
  readonly follow?: boolean;
  readonly limit: number;
  readonly user?: string;
  readonly path?: string;
}

export function defineAuditTail(audit: Command, action: Action): void {
  audit
    .command("tail")
    .description("the newest lines of the audit trail")
    .option("-f, --follow", "go on with new lines as they come")
    .option("--limit <n>", "at most so many to begin with", positive, 20)
    .option("--user <user>", "only this user's")
    .option("--path <path>", "only what is about this path, or below it")
    .addHelpText("after", examples("globalfs audit tail", "globalfs audit tail --follow --path projects/apollo"))
    .action(action(auditTail));
}

const PAGE = 1_000;
const PAUSE_MS = 1_000;

async function auditTail(context: CliContext, { follow = false, limit, user, path }: Options): Outcome {
  const wanted = { ...(user === undefined ? {} : { user }), ...(path === undefined ? {} : { path }) };
  return withClient(context, async (client) => {
    const { signal } = context;
    const lines = await newest(client, limit, { ...wanted, signal });
    if (context.json && !follow) {
      await printJson(context, lines);
      return undefined;
    }
    let last = lines.at(-1)?.seq ?? 0;
    for (const line of lines) await show(context, line);
    if (!follow) return undefined;
    for (;;) {
      await sleep(PAUSE_MS, undefined, { signal });
      let page: AuditPage;
      const news: AuditLine[] = [];
      let before: number | undefined;
      do {
        page = await client.audit({
          ...wanted,
          after: last,
          limit: PAGE,
          signal,
          ...(before === undefined ? {} : { before }),
        });
        news.unshift(...page.lines);
        ({ before } = page);
      } while (before !== undefined && before > last + 1);
      for (const line of news) await show(context, line);
      last = news.at(-1)?.seq ?? last;
    }
  });
}

/** A page may hold fewer than fit, where few of those that were looked at do. */
async function newest(
  client: Client,
  limit: number,
  query: Parameters<Client["audit"]>[0] & object,
): Promise<readonly AuditLine[]> {
  const lines: AuditLine[] = [];
  let before: number | undefined;
  do {
    const page = await client.audit({
      ...query,
      limit: Math.min(limit - lines.length, PAGE),
      ...(before === undefined ? {} : { before }),
    });
    lines.unshift(...page.lines);
    ({ before } = page);
  } while (before !== undefined && lines.length < limit);
  return lines;
}

async function show(context: CliContext, line: AuditLine): Promise<void> {
  await print(context, `${context.json ? jsonText(jsonForm(line)) : printable(textOf(line))}\n`);
}

const SHOWN = new Set([
  "seq",
  "at",
  "kind",
  "door",
  "user",
  "key",
  "from",
  "op",
  "path",
  "status",
  "code",
  "requestId",
  "prev",
]);

function textOf(line: AuditLine): string {
  const { at, kind, door, user, key, from, op, path, status, code, requestId } = line;
  const who = user === undefined ? undefined : user === "" ? "-" : key === "" ? user : `${user} (${key})`;
  const rest = Object.entries(line)
    .filter(([name]) => !SHOWN.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const words = [
    at.toISOString(),
    kind,
    door,
    who,
    from,
    op,
    path === undefined ? undefined : JSON.stringify(path),
    status,
    code,
    requestId,
    ...rest,
  ];
  return words.filter((word) => word !== undefined && word !== "").join(" ");
}
