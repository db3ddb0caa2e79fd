import type { Client } from "@globalfs/client";
import type { Command } from "commander";
import { EXIT } from "../../core/errors.ts";
import { type Action, examples } from "../action.ts";
import { copyOne } from "../copy/copy-one.ts";
import { copyTree } from "../copy/copy-tree.ts";
import { localSize } from "../copy/local-source.ts";
import type { CopyTally } from "../copy/work.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { isRoot, type Location, locationsOf } from "../location.ts";
import { createProgress, type Progress } from "../progress.ts";

interface Options {
  readonly recursive?: boolean;
  readonly all?: boolean;
}

export function defineCp(program: Command, action: Action): void {
  program
    .command("cp")
    .description("copy between the local disk and GlobalFS, or within GlobalFS")
    .argument("<source>", "gfs:key, local path, or - for stdin")
    .argument("<target>", "gfs:key, local path, or - for stdout")
    .option("-r, --recursive", "copy everything below the source")
    .option("--all", "with -r, the source may be the root: everything there is")
    .addHelpText(
      "after",
      `
gfs: marks keys; /, ./ and ../ begin local paths. A word without a mark is taken for what the other side is not.
With -r, what lies below the source goes below the target.
${examples(
  "globalfs cp ./results.csv gfs:runs/1/results.csv",
  "globalfs cp gfs:runs/1/results.csv .",
  "globalfs cp -r ./runs gfs:runs",
  "tar c dir | globalfs cp - gfs:dir.tar",
)}`,
    )
    .action(
      action((context, options: Options, [source, target]) => cp(context, source as string, target as string, options)),
    );
}

async function cp(context: CliContext, source: string, target: string, options: Options): Outcome {
  const [from, to] = locationsOf(source, target);
  if (options.recursive === true && options.all !== true && from.at === "gfs" && isRoot(from.key)) {
    throw new UsageError(`"${source}" is the root. To copy everything there is, say so with --all.`);
  }
  if (from.at !== "gfs" && to.at !== "gfs") throw new UsageError("One side must be in GlobalFS; mark it with gfs:.");
  const tally: CopyTally = { files: 0, bytes: 0, pendingSites: new Set(), refused: [] };
  return withClient(context, async (client) => {
    const progress = createProgress(context, {
      label: source,
      total: options.recursive === true ? undefined : await sizeOf(client, from),
      unit: "bytes",
    });
    const counting: Progress = {
      ...progress,
      advance(amount) {
        tally.bytes += amount;
        progress.advance(amount);
      },
    };
    try {
      if (options.recursive === true) await copyTree(context, client, { from, to, tally, progress: counting });
      else await copyOne(context, client, { from, to, tally, progress: counting });
    } finally {
      progress.end();
    }
    return report(context, tally, to);
  });
}

async function sizeOf(client: Client, from: Location): Promise<number | undefined> {
  if (from.at === "local") return localSize(from.path);
  if (from.at === "gfs") return (await client.head(from.key))?.size;
  return undefined;
}

async function report(context: CliContext, tally: CopyTally, to: Location): Outcome {
  const { files, bytes, pendingSites, refused } = tally;
  if (context.json && to.at !== "stdio") {
    await printJson(context, { files, bytes, pendingSites: [...pendingSites], refused });
  }
  for (const sentence of refused) note(context, sentence);
  if (pendingSites.size > 0) note(context, `Replication still has to be queued for: ${[...pendingSites].join(", ")}.`);
  return refused.length > 0 || pendingSites.size > 0 ? EXIT.partial : undefined;
}
