import type { Client, ObjectInfo } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, itemsOf, print, printJsonItems, withClient } from "../../context.ts";
import { positive } from "../../options.ts";
import { refusePartial, type UnseenSites } from "../../partial.ts";
import { type Column, renderPages } from "../../table.ts";

interface Options {
  readonly prefix?: string;
  readonly limit?: number;
}

export function defineObjectList(object: Command, action: Action): void {
  object
    .command("list")
    .description("list objects across all sites")
    .option("--prefix <prefix>", "only keys that begin with it")
    .option("--limit <n>", "at most so many", positive)
    .addHelpText("after", examples("globalfs object list", "globalfs object list --prefix datasets/ --limit 20"))
    .action(action(objectList));
}

const PAGE = 1_000;

const COLUMNS: readonly Column<ObjectInfo>[] = [
  { title: "KEY", value: ({ key }) => key },
  { title: "SIZE", value: ({ size }) => String(size), align: "right" },
  { title: "ETAG", value: ({ etag }) => etag },
  { title: "LAST MODIFIED", value: ({ lastModified }) => lastModified.toISOString() },
];

async function objectList(context: CliContext, options: Options): Outcome {
  return withClient(context, async (client) => {
    const unseen: UnseenSites = new Map();
    const pages = objectPages(client, context, options, unseen);
    if (context.json) await printJsonItems(context, itemsOf(pages));
    else for await (const text of renderPages(context.terminal, COLUMNS, pages)) await print(context, text);
    refusePartial(unseen);
    return undefined;
  });
}

async function* objectPages(
  client: Client,
  context: CliContext,
  options: { readonly prefix?: string; readonly limit?: number },
  unseen: UnseenSites,
): AsyncGenerator<readonly ObjectInfo[]> {
  let left = options.limit ?? Number.MAX_SAFE_INTEGER;
  const pages = client.pages({
    ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    limit: Math.min(left, PAGE),
    signal: context.signal,
    onPartial: ({ site, error }) => unseen.set(site, error),
  });
  for await (const { objects } of pages) {
    if (objects.length > 0 || left === options.limit) yield objects.slice(0, left);
    left -= objects.length;
    if (left <= 0) return;
  }
}
