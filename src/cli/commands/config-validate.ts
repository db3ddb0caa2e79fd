import { loadConfig } from "../config/index.ts";
import { type CliContext, note, type Outcome, print, printJson } from "../context.ts";

export async function configValidate(context: CliContext, file: string): Outcome {
  const { config, warnings } = await loadConfig({ path: file, env: context.terminal.env });
  if (context.json) {
    await printJson(context, { valid: true, warnings });
    return undefined;
  }
  for (const warning of warnings) note(context, `warning: ${warning}`);
  const sites = config.sites.map(({ name, role }) => `${name} (${role})`).join(", ");
  await print(context, `${file} is valid: ${config.sites.length} sites: ${sites}\n`);
  return undefined;
}
