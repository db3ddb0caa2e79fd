import type { Command } from "commander";
import { forEachBounded } from "../../core/async/for-each.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { KEY_HELP } from "../options.ts";
import { createProgress } from "../progress.ts";

interface Options {
  readonly recursive?: boolean;
}

export function defineRm(program: Command, action: Action): void {
  program
    .command("rm")
    .description("delete objects")
    .argument("<key...>", KEY_HELP)
    .option("-r, --recursive", "everything below each key")
    .addHelpText("after", examples("globalfs rm my-key", "globalfs rm -r runs/1"))
    .action(action((context, options: Options, keys) => rm(context, keys, options)));
}

const CONCURRENCY = 8;

async function rm(context: CliContext, keys: readonly string[], options: Options): Outcome {
  return withClient(context, async (client) => {
    const { signal } = context;
    const pending = new Set<string>();
    let deleted = 0;
    const progress = createProgress(context, { label: "Deleting", unit: "items" });
    const remove = async (key: string): Promise<void> => {
      const { pendingSites } = await client.delete(key, { signal });
      for (const site of pendingSites) pending.add(site);
      deleted += 1;
      progress.advance(1);
    };
    try {
      for (const key of keys.map(keyOf)) {
        if (options.recursive !== true) {
          await remove(key);
          continue;
        }
        const prefix = key === "" || key.endsWith("/") ? key : `${key}/`;
        await forEachBounded(client.list({ prefix, signal }), CONCURRENCY, ({ key }) => remove(key));
        if (!key.endsWith("/") && key !== "") await remove(key);
      }
    } finally {
      progress.end();
    }
    if (context.json) await printJson(context, { deleted, pendingSites: [...pending] });
    else note(context, `Deleted ${deleted} ${deleted === 1 ? "object" : "objects"}.`);
    if (pending.size > 0 && !context.json) {
      note(context, `Jobs are queued to delete the copies at: ${[...pending].join(", ")}.`);
    }
    return undefined;
  });
}
