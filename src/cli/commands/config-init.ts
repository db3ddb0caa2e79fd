import { writeFile } from "node:fs/promises";
import { GfsError } from "../../core/errors.ts";
import { configTemplate } from "../config/index.ts";
import { type CliContext, note, type Outcome, print } from "../context.ts";

export async function configInit(
  context: CliContext,
  options: { readonly output?: string; readonly force?: boolean },
): Outcome {
  const { output, force } = options;
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
