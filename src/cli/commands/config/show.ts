import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, warn } from "../../context.ts";

export function defineConfigShow(config: Command, action: Action): void {
  config
    .command("show")
    .description("print the configuration that holds: file, environment and defaults; secrets are left out")
    .argument("<file>", "configuration file")
    .addHelpText("after", examples("globalfs config show config.yaml", "globalfs config show config.yaml --json"))
    .action(action((context, _options, [file]) => configShow(context, file as string)));
}

async function configShow(context: CliContext, file: string): Outcome {
  const { loadConfig, parseYaml } = await import("../../config/index.ts");
  const { resolvedYaml, warnings } = await loadConfig({ path: file, env: context.terminal.env });
  for (const warning of warnings) warn(context, warning);
  if (!context.json) {
    await print(context, resolvedYaml);
    return undefined;
  }
  await printJson(context, parseYaml(resolvedYaml));
  return undefined;
}
