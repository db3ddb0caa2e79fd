import { type CliContext, type Outcome, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { createProgress } from "../progress.ts";
import { copyToStdout, getObject } from "../transfer.ts";

export async function cat(context: CliContext, keys: readonly string[]): Outcome {
  return withClient(context, async (client) => {
    for (const key of keys) {
      const download = await getObject(client, keyOf(key), context.signal);
      // No bar: the objects themselves go to the terminal that would show it.
      await copyToStdout(context, download, createProgress({ ...context, json: true }, { label: key, unit: "bytes" }));
    }
    return undefined;
  });
}
