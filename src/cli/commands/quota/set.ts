import type { Command } from "commander";
import { parseSizeBytes } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, withClient } from "../../context.ts";
import { UsageError } from "../../failure.ts";
import { keyOf } from "../../location.ts";
import { usageText } from "./usage-text.ts";

interface Options {
  readonly maxBytes?: string;
  readonly maxInodes?: string;
}

export function defineQuotaSet(quota: Command, action: Action): void {
  quota
    .command("set")
    .description("say how much may lie below a directory; what is there already counts, and stays")
    .argument("<path>", "directory, plain or as gfs:path; / is the whole tree")
    .option("--max-bytes <size>", "of files and their older versions, such as 10GiB; without it no limit")
    .option("--max-inodes <number>", "of files, directories and links; without it no limit")
    .addHelpText("after", examples("globalfs quota set datasets/ --max-bytes 10GiB --max-inodes 1000000"))
    .action(action((context, options: Options, [path]) => quotaSet(context, keyOf(path as string), options)));
}

async function quotaSet(context: CliContext, path: string, { maxBytes, maxInodes }: Options): Outcome {
  if (maxBytes === undefined && maxInodes === undefined)
    throw new UsageError(
      "Say how much may lie there with --max-bytes, --max-inodes or both; globalfs quota clear takes a quota away.",
    );
  if (maxInodes !== undefined && !/^\d{1,15}$/.test(maxInodes))
    throw new UsageError(`--max-inodes takes a number such as 1000000, not ${maxInodes}.`);
  const limits = {
    ...(maxBytes === undefined ? {} : { maxBytes: parseSizeBytes(maxBytes) }),
    ...(maxInodes === undefined ? {} : { maxInodes: Number(maxInodes) }),
  };
  return withClient(context, async (client) => {
    const usage = await client.quotas.set(path, limits, { signal: context.signal });
    if (context.json) await printJson(context, usage);
    else await print(context, usageText(usage));
    return undefined;
  });
}
