import { parse } from "yaml";
import { loadConfig } from "../config/index.ts";
import { type CliContext, note, type Outcome, print, printJson } from "../context.ts";

export async function configShow(context: CliContext, file: string): Outcome {
  const { resolvedYaml, warnings } = await loadConfig({ path: file, env: context.terminal.env });
  for (const warning of warnings) note(context, `warning: ${warning}`);
  if (!context.json) {
    await print(context, resolvedYaml);
    return undefined;
  }
  await printJson(context, parse(resolvedYaml));
  return undefined;
}
