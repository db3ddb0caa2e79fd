import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { createQuestions } from "../ask.ts";
import { type CliContext, type Outcome, print, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { isRoot, keyOf } from "../location.ts";
import { KEY_HELP } from "../options.ts";
import { createProgress } from "../progress.ts";
import { confirmRemoval } from "../remove/confirm.ts";
import { removeKeys } from "../remove/remove-keys.ts";
import { countText, type TallyWords, withTally } from "../tally.ts";
import { printable } from "../terminal.ts";

interface Options {
  readonly recursive?: boolean;
  readonly force?: boolean;
  readonly interactive?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

export function defineRm(program: Command, action: Action): void {
  program
    .command("rm")
    .description("delete objects")
    .argument("[key...]", KEY_HELP)
    .option("-r, --recursive", "everything below each key, too")
    .option("-f, --force", "a key that is not there is no failure")
    .option("-i, --interactive", "ask before each object")
    .option("-y, --yes", "do not ask; without it, a terminal is asked before more than three objects go")
    .option("-n, --dry-run", "name what would be deleted, and delete nothing")
    .option("--all", "with -r and no key: everything there is")
    .addHelpText(
      "after",
      examples("globalfs rm my-key", "globalfs rm -r runs/1", "globalfs rm -rn runs/1", "globalfs rm -r --all"),
    )
    .action(action((context, options: Options, words) => rm(context, keysOf(words, options), options)));
}

/** An unset variable leaves an empty word or a lone slash: that is everything, and is done only when it is said. */
function keysOf(words: readonly string[], { all, recursive }: Options): readonly string[] {
  const keys = words.map(keyOf);
  if (all === true) {
    if (recursive !== true) throw new UsageError("--all goes with -r: globalfs rm -r --all deletes everything.");
    if (keys.every(isRoot)) return [""];
    throw new UsageError("--all deletes everything; leave it or the keys away.");
  }
  if (keys.length === 0) throw new UsageError("Name what to delete, such as: globalfs rm my-key");
  const root = keys.findIndex(isRoot);
  if (root === -1) return keys;
  throw new UsageError(
    `"${words[root] as string}" is the root, and not an object. To delete everything there is, say so: globalfs rm -r --all`,
  );
}

async function rm(context: CliContext, keys: readonly string[], options: Options): Outcome {
  const { recursive = false, force = false, interactive = false, dryRun = false, yes = false } = options;
  const asks = interactive || (!yes && !dryRun && context.terminal.stdin.isTTY === true);
  const questions = asks ? createQuestions(context) : undefined;
  try {
    return await withClient(context, async (client) => {
      if (questions !== undefined && !interactive)
        await confirmRemoval(context, client, questions, { keys, recursive });
      const progress = createProgress(context, { label: "Deleting", unit: "items" });
      return await withTally(context, dryRun ? WOULD : DELETED, async (tally) => {
        try {
          await removeKeys(
            {
              client,
              context,
              tally,
              recursive,
              force,
              wanted: interactive ? async (key) => (await questions?.ask(`Delete ${key}?`)) === true : undefined,
              show: dryRun ? (key) => show(context, key) : undefined,
              onRemoved: () => progress.advance(1),
            },
            keys,
          );
        } finally {
          progress.end();
        }
      });
    });
  } finally {
    questions?.close();
  }
}

async function show(context: CliContext, key: string): Promise<void> {
  if (!context.json) await print(context, `${printable(key)}\n`);
}

const DELETED: TallyWords = {
  done: ({ done }) => `Deleted ${countText(done, "object")}`,
  json: ({ done }) => ({ deleted: done }),
  pending: (sites) => `Jobs are queued to delete the copies at: ${sites}.`,
};

const WOULD: TallyWords = {
  done: ({ done, bytes }) => `Would delete ${countText(done, "object")} (${formatSize(bytes)})`,
  json: ({ done, bytes }) => ({ wouldDelete: done, bytes }),
  pending: () => "",
};
