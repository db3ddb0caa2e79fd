import { type CliContext, type Outcome, print, printJson } from "../context.ts";
import { VERSION } from "../version.ts";

export async function version(context: CliContext): Outcome {
  if (context.json) await printJson(context, { version: VERSION });
  else await print(context, `globalfs ${VERSION}\n`);
  return undefined;
}
