import type { FailedSite, ObjectInfo } from "@globalfs/client";
import type { Command } from "commander";
import { GfsError } from "../../core/errors.ts";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJsonItems, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { renderTable } from "../table.ts";
import { printable } from "../terminal.ts";
import { reportFailed } from "./object/list.ts";

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
  const directory = key === "" || key.endsWith("/") ? key : `${key}/`;
  return withClient(context, async (client) => {
    const failed: FailedSite[] = [];
    let found = false;
    async function* entryPages(): AsyncGenerator<Entry[]> {
      const pages = client.pages({
        prefix: directory,
        ...(options.recursive === true ? {} : { delimiter: "/" as const }),
        signal: context.signal,
        onPartial: (site) => failed.push(site),
      });
      for await (const page of pages) {
        const entries: Entry[] = [
          ...page.prefixes.map((name) => ({ name: name.slice(directory.length) })),
          ...page.objects.map((object) => ({ name: object.key.slice(directory.length), object })),
        ].toSorted((left, right) => Buffer.compare(Buffer.from(left.name), Buffer.from(right.name)));
        if (entries.length > 0) {
          found = true;
          yield entries;
        }
      }
      // Named without a slash, it may be an object and no directory.
      if (found || key === "") return;
      const object = key.endsWith("/") ? undefined : await client.head(key, { signal: context.signal });
      if (object === undefined) throw new GfsError("NotFound", `There is nothing at ${key}.`);
      yield [{ name: key, object }];
    }
    if (context.json) await printJsonItems(context, jsonEntries(entryPages(), directory));
    else {
      for await (const entries of entryPages()) {
        const text =
          options.long === true
            ? longText(context, entries)
            : entries.map(({ name }) => `${printable(name)}\n`).join("");
        await print(context, text);
      }
    }
    return reportFailed(context, failed);
  });
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
      { title: "NAME", value: ({ name }) => name },
    ],
    entries,
  );
  return table.slice(table.indexOf("\n") + 1);
}
