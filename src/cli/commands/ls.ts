import type { Client, ListPage, ObjectInfo } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { absenceOf } from "../absent.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJsonItems, withClient } from "../context.ts";
import { findObject } from "../find-object.ts";
import { keyOf, prefixOf } from "../location.ts";
import { refusePartial, type UnseenSites } from "../partial.ts";
import { renderTable } from "../table.ts";
import { printable } from "../terminal.ts";

interface Options {
  readonly long?: boolean;
  readonly recursive?: boolean;
}

export function defineLs(program: Command, action: Action): void {
  program
    .command("ls")
    .description("list one directory of the namespace")
    .argument("[path]", "directory or key, plain or as gfs:path")
    .option("-l, --long", "sizes and times too")
    .option("-R, --recursive", "everything below")
    .addHelpText("after", examples("globalfs ls", "globalfs ls -l datasets", "globalfs ls -lR gfs:datasets/hot"))
    .action(action((context, options: Options, [path = ""]) => ls(context, path, options)));
}

interface Entry {
  readonly name: string;
  readonly object?: ObjectInfo;
}

async function ls(context: CliContext, path: string, options: Options): Outcome {
  const key = keyOf(path);
  const directory = prefixOf(key);
  return withClient(context, async (client) => {
    const unseen: UnseenSites = new Map();
    const pages = entryPages(context, client, { key, directory, recursive: options.recursive === true, unseen });
    if (context.json) await printJsonItems(context, jsonEntries(pages, directory));
    else {
      for await (const entries of pages) {
        const text =
          options.long === true
            ? longText(context, entries)
            : entries.map(({ name }) => `${printable(name)}\n`).join("");
        await print(context, text);
      }
    }
    refusePartial(unseen);
    return undefined;
  });
}

interface Listed {
  readonly key: string;
  readonly directory: string;
  readonly recursive: boolean;
  readonly unseen: UnseenSites;
}

async function* entryPages(
  { signal }: CliContext,
  client: Client,
  { key, directory, recursive, unseen }: Listed,
): AsyncGenerator<Entry[]> {
  let found = directory === "";
  const pages = client.pages({
    prefix: directory,
    others: true,
    ...(recursive ? {} : { delimiter: "/" as const }),
    signal,
    onPartial: ({ site, error }) => unseen.set(site, error),
  });
  for await (const page of pages) {
    found ||= page.prefixes.length + page.objects.length > 0;
    const entries = entriesOf(page, directory);
    if (entries.length > 0) yield entries;
  }
  if (found) return;
  // Named without a slash, it may be an object and no directory.
  const object = key.endsWith("/") ? undefined : await findObject(client, key, signal);
  if (object !== undefined) yield [{ name: key, object }];
  else {
    refusePartial(unseen);
    throw await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
  }
}

/** In order; a directory that was made as such is listed as an object with a slash at its end, and first of all in itself. */
function entriesOf({ prefixes, objects }: ListPage, directory: string): Entry[] {
  const entries = [
    ...prefixes.map((name) => ({ name })),
    ...objects.map((object) => (object.key.endsWith("/") ? { name: object.key } : { name: object.key, object })),
  ];
  return entries
    .filter(({ name }) => name !== directory)
    .map((entry) => ({ ...entry, name: entry.name.slice(directory.length) }))
    .toSorted((left, right) => Buffer.compare(Buffer.from(left.name), Buffer.from(right.name)));
}

async function* jsonEntries(pages: AsyncIterable<Entry[]>, directory: string): AsyncGenerator {
  for await (const page of pages) for (const { name, object } of page) yield object ?? { prefix: directory + name };
}

function longText(context: CliContext, entries: readonly Entry[]): string {
  const table = renderTable<Entry>(
    context.terminal,
    [
      { title: "SIZE", value: ({ object }) => (object === undefined ? "-" : formatSize(object.size)), align: "right" },
      { title: "LAST MODIFIED", value: ({ object }) => object?.lastModified.toISOString().slice(0, 19) ?? "-" },
      {
        title: "NAME",
        value: ({ name, object }) => (object?.kind === undefined ? name : `${name} (${object.kind})`),
      },
    ],
    entries,
  );
  return table.slice(table.indexOf("\n") + 1);
}
