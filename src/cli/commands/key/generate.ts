import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson } from "../../context.ts";

interface Options {
  readonly name: string;
}

export function defineKeyGenerate(key: Command, action: Action): void {
  key
    .command("generate")
    .description(
      "make a key for the configuration, which needs no catalog to be known, and the lines for security.api_keys",
    )
    .option("--name <name>", "who will hold the key", "somebody")
    .addHelpText("after", examples("globalfs key generate --name alice"))
    .action(action(keyGenerate));
}

async function keyGenerate(context: CliContext, { name }: Options): Outcome {
  const { generateApiKey, hashApiKey } = await import("../../../security/index.ts");
  const key = generateApiKey();
  const hash = hashApiKey(key);
  if (context.json) await printJson(context, { name, key, hash });
  else {
    await print(
      context,
      `Key, shown only now:  ${key}\n\nsecurity:\n  api_keys:\n    - name: ${JSON.stringify(name)}\n      hash: ${hash}\n`,
    );
  }
  return undefined;
}
