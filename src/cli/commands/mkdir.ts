import type { GlobalFsError } from "@globalfs/client";
import type { Command } from "commander";
import { GfsError } from "../../core/errors.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome } from "../context.ts";
import { eachPath } from "../each-path.ts";
import { UsageError } from "../failure.ts";
import { octal, PATH_HELP } from "../modes.ts";

interface Options {
  readonly parents?: boolean;
  readonly mode?: string;
}

export function defineMkdir(program: Command, action: Action): void {
  program
    .command("mkdir")
    .description("make directories; at the top they are buckets")
    .argument("<path...>", PATH_HELP)
    .option("-p, --parents", "those above, too; one that is there is no failure")
    .option("-m, --mode <mode>", "octal; without it 0755")
    .addHelpText("after", examples("globalfs mkdir archive", "globalfs mkdir -p archive/2026/07 -m 0750"))
    .action(action((context, options: Options, paths) => mkdir(context, paths, options)));
}

async function mkdir(context: CliContext, paths: readonly string[], { parents, mode }: Options): Outcome {
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode))
    throw new UsageError(`"${mode}" is no mode; write it octal, such as 0750.`);
  const how = {
    ...(parents === true ? { parents } : {}),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
  return await eachPath(context, paths, async (client, path) => {
    const made = await client.files.mkdir(path, { ...how, signal: context.signal }).catch((error: unknown) => {
      const { code, message } = error as GlobalFsError;
      if (code !== "NotFound") throw error;
      throw new GfsError("NotFound", `${message} With -p it is made, too.`, { cause: error });
    });
    return { path, mode: octal(made.mode) };
  });
}
