import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson, warn } from "../../context.ts";

export function defineConfigValidate(config: Command, action: Action): void {
  config
    .command("validate")
    .description("check a configuration file and say all that is wrong with it")
    .argument("<file>", "configuration file")
    .addHelpText("after", examples("globalfs config validate config.yaml"))
    .action(action((context, _options, [file]) => configValidate(context, file as string)));
}

async function configValidate(context: CliContext, file: string): Outcome {
  const { loadConfig } = await import("../../config/index.ts");
  const { config, warnings } = await loadConfig({ path: file, env: context.terminal.env });
  if (context.json) {
    await printJson(context, { valid: true, warnings });
    return undefined;
  }
  for (const warning of warnings) warn(context, warning);
  const sites = config.sites.map(({ name, role }) => `${name} (${role})`).join(", ");
  await print(context, `${file} is valid: ${config.sites.length} sites: ${sites}\n`);
  return undefined;
}
