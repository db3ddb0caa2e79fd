import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import type { Command } from "commander";
import { fromErrno } from "../../../core/errors.ts";
import type { LoadSummary } from "../../../meta/index.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson } from "../../context.ts";
import { catalogDirectory, CONFIG_HELP } from "../../own-catalog.ts";
import { createProgress } from "../../progress.ts";

interface Options {
  readonly config?: string;
  readonly into?: string;
}

export function defineMetaLoad(meta: Command, action: Action): void {
  meta
    .command("load")
    .description("make a catalog from a dump, where there is none; all of it, or nothing when the dump is not whole")
    .argument("<file>", "what `meta dump` or a backup has written, compressed or not; -: from the input")
    .option("--into <directory>", "the directory of the catalog to be made")
    .option("--config <file>", CONFIG_HELP)
    .addHelpText(
      "after",
      examples(
        "globalfs meta load catalog.jsonl.gz --into .globalfs/catalog",
        "globalfs meta load catalog.jsonl.gz --config config.yaml",
      ),
    )
    .action(action((context, options: Options, [file]) => metaLoad(context, file as string, options)));
}

async function metaLoad(context: CliContext, file: string, { config, into }: Options): Outcome {
  const directory = await catalogDirectory(context, {
    ...(into === undefined ? {} : { dataDir: into }),
    ...(config === undefined ? {} : { config }),
  });
  const [{ loadCatalog, uncompressed }, { makeLmdbCatalog }] = await Promise.all([
    import("../../../meta/index.ts"),
    import("../../../kv/index.ts"),
  ]);
  const { terminal, signal } = context;
  const progress = createProgress(context, { label: "Loading", unit: "items" });
  let summary: LoadSummary;
  try {
    summary = await makeLmdbCatalog({
      directory,
      fill: async (kv) =>
        await loadCatalog(kv, uncompressed(file === "-" ? terminal.stdin : bytesOf(file)), {
          signal,
          onRows: (rows) => progress.advance(rows),
        }),
      revisionOf: ({ revision }) => revision,
    });
  } finally {
    progress.end();
  }
  if (context.json) await printJson(context, { directory, ...summary });
  else
    note(
      context,
      `${directory}: ${summary.rows} rows. The secret.key of that catalog has to lie there, too; else its access keys are lost.`,
    );
  return undefined;
}

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  const stream: Readable = createReadStream(file);
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw fromErrno(error, "meta.load", { path: file });
  }
}
