import type { Change, ChangeKind, WatchMark } from "@globalfs/client";
import { type Command, Option } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, jsonForm, note, type Outcome, print, warn, withClient } from "../context.ts";
import { keyOf } from "../location.ts";
import { place, positive } from "../options.ts";
import { jsonText, printable } from "../terminal.ts";

const KINDS = ["created", "updated", "removed", "renamed"] as const satisfies readonly ChangeKind[];

interface Options {
  readonly kind?: readonly ChangeKind[];
  readonly after?: number;
  readonly count?: number;
}

export function defineWatch(program: Command, action: Action): void {
  program
    .command("watch")
    .description("show what happens to names below a path, as it happens, until Ctrl-C")
    .argument("[path]", "an object, a directory or what begins with a path that ends in /; everything when absent")
    .addOption(new Option("--kind <kind...>", "only changes of these kinds").choices(KINDS))
    .option("--after <position>", "first what came after this event; 0 for all that is kept", place)
    .option("--count <n>", "end after so many changes", positive)
    .addHelpText(
      "after",
      examples(
        "globalfs watch",
        "globalfs watch results/run-1.csv --count 1",
        "globalfs watch datasets/ --kind created removed",
        "globalfs watch --after 0 --json",
      ),
    )
    .action(action((context, options: Options, [path]) => watch(context, path, options)));
}

async function watch(context: CliContext, path: string | undefined, { kind, after, count }: Options): Outcome {
  const { signal } = context;
  const wanted = path === undefined ? "" : keyOf(path);
  return await withClient(context, async (client) => {
    const options = { ...(kind === undefined ? {} : { kinds: kind }), ...(after === undefined ? {} : { after }) };
    let left = count ?? Number.POSITIVE_INFINITY;
    try {
      for await (const event of client.watch({ prefix: wanted, signal, ...options })) {
        if (!("path" in event)) await tell(context, event, wanted);
        else if (concerns(event, wanted)) {
          await print(context, context.json ? `${jsonText(jsonForm(event))}\n` : lineOf(event));
          if (--left === 0) break;
        }
      }
    } catch (error) {
      // That is how it ends.
      if (!signal.aborted) throw error;
    }
    return undefined;
  });
}

async function tell(context: CliContext, event: WatchMark, wanted: string): Promise<void> {
  if (event.kind === "gap" && context.json) await print(context, `${jsonText(jsonForm(event))}\n`);
  else if (event.kind === "gap")
    warn(context, "What happened in between is not known any more; look at everything anew.");
  else if (!context.json)
    note(context, `Watching ${wanted === "" ? "everything" : printable(wanted)}; Ctrl-C ends it.`);
}

function lineOf({ at, kind, cause, path, from }: Change): string {
  const origin = from === undefined ? "" : `  from ${printable(from)}`;
  const why = cause === undefined ? "" : `  (${cause})`;
  return `${at.toISOString().slice(0, 19)}Z  ${kind.padEnd(7)}  ${printable(path)}${origin}${why}\n`;
}

/** `a/b` is that object, or that directory with all below it, and not `a/bc`. */
function concerns({ path, from }: Change, wanted: string): boolean {
  if (wanted === "" || wanted.endsWith("/")) return true;
  return [path, from].some(
    (name) => name !== undefined && (name === wanted || name.startsWith(`${wanted}/`) || wanted.startsWith(`${name}/`)),
  );
}
