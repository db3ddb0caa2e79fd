import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { isRoot, keyOf } from "../location.ts";

interface Options {
  readonly force?: boolean;
}

export function defineMv(program: Command, action: Action): void {
  program
    .command("mv")
    .description("rename an object, or with a trailing / on both a whole directory")
    .argument("<from>", "key now")
    .argument("<to>", "key then")
    .option("-f, --force", "replace the target when it exists")
    .addHelpText("after", examples("globalfs mv draft.txt final.txt", "globalfs mv runs/1/ archive/run-1/"))
    .action(
      action((context, options: Options, [from, to]) =>
        mv(context, keyOf(from as string), keyOf(to as string), options),
      ),
    );
}

async function mv(context: CliContext, from: string, to: string, options: Options): Outcome {
  if (isRoot(from)) throw new UsageError(`"${from}" is the root, and cannot be renamed.`);
  if (isRoot(to))
    throw new UsageError(`"${to}" is the root, and no new name; write the whole key, such as archive/run-1/.`);
  return withClient(context, async (client) => {
    const request = { from, to, overwrite: options.force === true };
    await client.rename(request, { signal: context.signal });
    if (context.json) await printJson(context, request);
    else note(context, `Renamed ${request.from} to ${request.to}.`);
    return undefined;
  });
}
