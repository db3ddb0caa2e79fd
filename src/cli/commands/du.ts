import type { Client, Usage } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { absenceOf } from "../absent.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, print, printJson, withClient } from "../context.ts";
import { findObject } from "../find-object.ts";
import { keyOf, prefixOf } from "../location.ts";
import { renderTable } from "../table.ts";
import { usageText } from "./quota/usage-text.ts";

interface Options {
  readonly bytes?: boolean;
  readonly total?: boolean;
}

export function defineDu(program: Command, action: Action): void {
  program
    .command("du")
    .description("how many objects and bytes lie below a path, and at which sites")
    .argument("[path]", "directory, plain or as gfs:path")
    .option("--bytes", "exact numbers of bytes")
    .option("--total", "at once, however much it is: the bytes and inodes of a directory as the catalog keeps them")
    .addHelpText("after", examples("globalfs du", "globalfs du datasets/ --bytes", "globalfs du --total datasets/"))
    .action(action((context, options: Options, [path = ""]) => du(context, keyOf(path), options)));
}

async function du(context: CliContext, key: string, options: Options): Outcome {
  return withClient(context, async (client) => {
    if (options.total === true) {
      const total = await client.quotas.show(key, { signal: context.signal });
      if (context.json) await printJson(context, total);
      else await print(context, usageText(total));
      return undefined;
    }
    const usage = await usageAt(context, client, key);
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

/** Of a directory what is below it, and not what only begins with the same letters; of an object itself. */
async function usageAt(context: CliContext, client: Client, key: string): Promise<Usage> {
  const { signal } = context;
  const prefix = prefixOf(key);
  const usage = await client.usage(prefix, { signal });
  if (usage.objects > 0 || prefix === "") return usage;
  const object = key.endsWith("/") ? undefined : await findObject(client, key, signal);
  if (object !== undefined) {
    const { copies } = await client.explain(key, { signal });
    const used = { objects: 1, bytes: object.size };
    const holding = copies.filter(({ state }) => state === "present" || state === "foreign");
    return { prefix: key, ...used, bySite: Object.fromEntries(holding.map(({ site }) => [site, used])) };
  }
  const absence = await absenceOf(client, key, { signal, forDirectories: "globalfs ls" });
  if (absence.code !== "IsADirectory") throw absence;
  note(context, `What is below ${key} is not in the catalog yet; globalfs import SITE ${prefix} takes it in.`);
  return usage;
}
