import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { GfsError } from "../../../core/errors.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print } from "../../context.ts";

interface Options {
  readonly output?: string;
  readonly force?: boolean;
}

export function defineConfigInit(config: Command, action: Action): void {
  config
    .command("init")
    .description("write a starter configuration to a file or stdout")
    .option("--output <file>", "file to write; stdout when absent")
    .option("--force", "replace the file when it exists")
    .addHelpText("after", examples("globalfs config init --output config.yaml"))
    .action(action(configInit));
}

async function configInit(context: CliContext, options: Options): Outcome {
  const { output, force } = options;
  const { configTemplate } = await import("../../config/index.ts");
  if (output === undefined || output === "-") {
    await print(context, configTemplate());
    return undefined;
  }
  try {
    await writeFile(output, configTemplate(), { flag: force === true ? "w" : "wx" });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    throw new GfsError("AlreadyExists", `${output} exists already; use --force to replace it.`, { cause: error });
  }
  note(context, `Wrote ${output}. Start it with: globalfs coordinator start --config ${output}`);
  return undefined;
}
