import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { copyToFile, copyToStdout, getObject } from "../../copy/download.ts";
import { type CliContext, type Outcome, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";
import { KEY_HELP } from "../../options.ts";
import { createProgress } from "../../progress.ts";

interface Options {
  readonly output?: string;
}

export function defineObjectGet(object: Command, action: Action): void {
  object
    .command("get")
    .description("download an object to stdout or a file")
    .argument("<key>", KEY_HELP)
    .option("-o, --output <file>", "file to write; stdout when absent or -")
    .addHelpText("after", examples("globalfs object get my-key", "globalfs object get data/a.bin --output a.bin"))
    .action(action((context, options: Options, [key]) => objectGet(context, key as string, options)));
}

async function objectGet(context: CliContext, key: string, options: Options): Outcome {
  const { output } = options;
  return withClient(context, async (client) => {
    const download = await getObject(client, keyOf(key), context.signal);
    const total = download.end - download.start;
    const progress = createProgress(context, { label: key, total, unit: "bytes" });
    try {
      if (output === undefined || output === "-") await copyToStdout(context, download, progress);
      else await copyToFile(download, output, progress, context.signal);
    } finally {
      progress.end();
    }
    return undefined;
  });
}
