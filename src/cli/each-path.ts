import type { Client } from "@globalfs/client";
import { type CliContext, type Outcome, printJson, withClient } from "./context.ts";
import { keyOf } from "./location.ts";

/** The same with each path, in their order; the first failure ends it, as what comes behind may rest on it. */
export async function eachPath(
  context: CliContext,
  words: readonly string[],
  work: (client: Client, path: string) => Promise<object>,
): Outcome {
  return await withClient(context, async (client) => {
    const done: object[] = [];
    for (const word of words) done.push(await work(client, keyOf(word)));
    if (context.json) await printJson(context, done);
    return undefined;
  });
}
