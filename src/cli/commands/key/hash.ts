import type { Command } from "commander";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson } from "../../context.ts";
import { UsageError } from "../../failure.ts";

const LONGEST_KEY_BYTES = 4_096;

export function defineKeyHash(key: Command, action: Action): void {
  key
    .command("hash")
    .description("read a key of your own for the configuration from stdin, and print its hash for security.api_keys")
    .addHelpText("after", examples('printf %s "$KEY" | globalfs key hash'))
    .action(action(keyHash));
}

/** From stdin, because what stands on a command line can be read by everybody on the machine. */
async function keyHash(context: CliContext): Outcome {
  let key = "";
  for await (const piece of context.terminal.stdin as AsyncIterable<Buffer>) {
    key += piece.toString();
    if (key.length > LONGEST_KEY_BYTES) throw new UsageError("This is too long for an API key.");
  }
  key = key.replace(/\r?\n$/, "");
  if (key === "") throw new UsageError("Write the key to stdin.");
  const { hashApiKey } = await import("../../../security/index.ts");
  if (context.json) await printJson(context, { hash: hashApiKey(key) });
  else await print(context, `${hashApiKey(key)}\n`);
  return undefined;
}
