import type { Client } from "@globalfs/client";
import type { Command } from "commander";
import { formatSize } from "../../core/units.ts";
import { type Action, examples } from "../action.ts";
import { copyOne } from "../copy/copy-one.ts";
import { copyTree } from "../copy/copy-tree.ts";
import { localSize } from "../copy/local-source.ts";
import { copyCounted } from "../copy/work.ts";
import { type CliContext, type Outcome, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { findObject } from "../find-object.ts";
import { isRoot, type Location, locationsOf } from "../location.ts";
import { createProgress, type Progress } from "../progress.ts";
import { countText, createTally, type Tally, type TallyWords, withTally } from "../tally.ts";

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
  const { signal } = context;
  return withClient(context, async (client) => {
    const total = options.recursive === true ? undefined : await sizeOf(client, from, signal);
    const bar = createProgress(context, { label: source, total, unit: "bytes" });
    const copy = async (tally: Tally): Promise<void> => {
      const progress: Progress = {
        ...bar,
        advance(amount) {
          if (options.recursive === true) bar.label(`${source}: ${countText(tally.done, "file")}`);
          bar.advance(amount);
        },
      };
      const work = { context, client, tally, progress };
      try {
        await (options.recursive === true
          ? copyTree(work, from, to)
          : copyCounted(work, (own) => copyOne(own, from, to)));
      } finally {
        bar.end();
      }
    };
    if (to.at !== "stdio") return await withTally(context, WORDS, copy);
    // The object is the output.
    await copy(createTally());
    return undefined;
  });
}

async function sizeOf(client: Client, from: Location, signal: AbortSignal): Promise<number | undefined> {
  if (from.at === "local") return await localSize(from.path);
  return from.at === "gfs" ? (await findObject(client, from.key, signal))?.size : undefined;
}

const WORDS: TallyWords = {
  done: ({ done, bytes }) => `Copied ${countText(done, "file")} (${formatSize(bytes)})`,
  json: ({ done, bytes }) => ({ files: done, bytes }),
  pending: (sites) => `Replication still has to be queued for: ${sites}.`,
  pendingIsPartial: true,
};
