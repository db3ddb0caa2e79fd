import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { renderTable } from "../table.ts";

interface Options {
  readonly bytes?: boolean;
}

export function defineDu(program: Command, action: Action): void {
  program
    .command("du")
    .description("how many objects and bytes lie below a path, and at which sites")
    .argument("[path]", "directory, plain or as gfs:path")
    .option("--bytes", "exact numbers of bytes")
    .addHelpText("after", examples("globalfs du", "globalfs du datasets/ --bytes"))
    .action(action((context, options: Options, [path = ""]) => du(context, path, options)));
}

async function du(context: CliContext, path: string, options: Options): Outcome {
  return withClient(context, async (client) => {
    const usage = await client.usage(keyOf(path), { signal: context.signal });
    if (context.json) {
      await printJson(context, usage);
      return undefined;
    }
    const shown = (bytes: number): string => (options.bytes === true ? String(bytes) : formatSize(bytes));
    const rows = [
      ...Object.entries(usage.bySite).map(([site, used]) => ({ site, ...used })),
      { site: "(files)", objects: usage.objects, bytes: usage.bytes },
    ];
    await print(
      context,
      renderTable<(typeof rows)[number]>(
        context.terminal,
        [
          { title: "SITE", value: ({ site }) => site },
          { title: "OBJECTS", value: ({ objects }) => String(objects), align: "right" },
          { title: "SIZE", value: ({ bytes }) => shown(bytes), align: "right" },
        ],
        rows,
      ),
    );
    return undefined;
  });
}
