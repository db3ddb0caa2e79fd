import { generateApiKey, hashApiKey } from "../../security/index.ts";
import { type CliContext, type Outcome, print, printJson } from "../context.ts";
import { UsageError } from "../failure.ts";

const LONGEST_KEY_BYTES = 4_096;

export async function keyGenerate(context: CliContext, { name }: { readonly name: string }): Outcome {
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

/** From stdin, because what stands on a command line can be read by everybody on the machine. */
export async function keyHash(context: CliContext): Outcome {
  let key = "";
  for await (const piece of context.terminal.stdin as AsyncIterable<Buffer>) {
    key += piece.toString();
    if (key.length > LONGEST_KEY_BYTES) throw new UsageError("This is too long for an API key.");
  }
  key = key.replace(/\r?\n$/, "");
  if (key === "") throw new UsageError("Write the key to stdin.");
  if (context.json) await printJson(context, { hash: hashApiKey(key) });
  else await print(context, `${hashApiKey(key)}\n`);
  return undefined;
}
