import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome, print, printJson } from "../context.ts";
import { VERSION } from "../version.ts";

export function defineVersion(program: Command, action: Action): void {
  program
    .command("version")
    .description("print the version")
    .addHelpText("after", examples("globalfs version"))
    .action(action(version));
}

async function version(context: CliContext): Outcome {
  if (context.json) await printJson(context, { version: VERSION });
  else await print(context, `globalfs ${VERSION}\n`);
  return undefined;
}
