import { once } from "node:events";
import { open, rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Command } from "commander";
import { systemClock } from "../../../core/ports/clock.ts";
import type { DumpSummary } from "../../../meta/index.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, printJson } from "../../context.ts";
import { type CatalogChoice, catalogDirectory, CONFIG_HELP } from "../../own-catalog.ts";
import { createProgress } from "../../progress.ts";
import { openToRead } from "./catalog.ts";

export function defineMetaDump(meta: Command, action: Action): void {
  meta
    .command("dump")
    .description("write the catalog out, as it is at one moment; the coordinator may run")
    .argument("[file]", "where to; one that ends in .gz is compressed; absent or -: to the output")
    .option("--config <file>", CONFIG_HELP)
    .option("--data-dir <directory>", "the catalog's directory itself")
    .addHelpText(
      "after",
      examples(
        "globalfs meta dump catalog.jsonl.gz --config config.yaml",
        "globalfs meta dump --data-dir .globalfs/catalog | head -1",
      ),
    )
    .action(action((context, options: CatalogChoice, [file = "-"]) => metaDump(context, file, options)));
}

async function metaDump(context: CliContext, file: string, options: CatalogChoice): Outcome {
  const directory = await catalogDirectory(context, options);
  const { dumpCatalog } = await import("../../../meta/index.ts");
  const kv = await openToRead(directory);
  try {
    const progress = createProgress(context, { label: "Dumping", total: (await kv.stats()).entries, unit: "items" });
    const { signal } = context;
    const dump = dumpCatalog(kv, { clock: systemClock, signal, onRows: (rows) => progress.advance(rows) });
    let summary: DumpSummary;
    try {
      summary = file === "-" ? await toOutput(context, dump) : await toFile(file, dump, signal);
    } finally {
      progress.end();
    }
    if (file === "-") return undefined;
    if (context.json) await printJson(context, { file, ...summary });
    else note(context, `${file}: ${summary.rows} rows. Secrets in it stay sealed: keep secret.key apart from it, too.`);
    return undefined;
  } finally {
    await kv.close();
  }
}

type Dump = AsyncGenerator<Buffer, DumpSummary>;

/** What a generator returns is lost to those who only iterate. */
async function* kept(dump: Dump, keep: (summary: DumpSummary) => void): AsyncGenerator<Buffer> {
  keep(yield* dump);
}

async function toOutput({ terminal }: CliContext, dump: Dump): Promise<DumpSummary> {
  for (;;) {
    const next = await dump.next();
    if (next.done === true) return next.value;
    if (!terminal.stdout.write(next.value)) await once(terminal.stdout, "drain");
  }
}

/** It is there as a whole or not at all, and for this user alone. */
async function toFile(file: string, dump: Dump, signal: AbortSignal): Promise<DumpSummary> {
  const part = `${file}.part`;
  const handle = await open(part, "w", 0o600);
  let summary: DumpSummary | undefined;
  try {
    const source = kept(dump, (found) => {
      summary = found;
    });
    const target = handle.createWriteStream({ flush: true });
    if (file.endsWith(".gz")) await pipeline(source, createGzip(), target, { signal });
    else await pipeline(source, target, { signal });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return summary as DumpSummary;
}
