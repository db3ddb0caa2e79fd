import type { Command } from "commander";
import { EXIT, GfsError } from "../../../core/errors.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson } from "../../context.ts";
import { printable } from "../../terminal.ts";

interface Options {
  readonly config?: string;
  readonly dataDir?: string;
}

export function defineMetaCheck(meta: Command, action: Action): void {
  meta
    .command("check")
    .description("hold every row of the catalog against the others; changes nothing")
    .option("--config <file>", "configuration file that names the catalog's directory")
    .option("--data-dir <directory>", "the catalog's directory itself")
    .addHelpText(
      "after",
      examples("globalfs meta check --config config.yaml", "globalfs meta check --data-dir .globalfs/catalog"),
    )
    .action(action(metaCheck));
}

/** Holds every row of a stopped coordinator's catalog against the others. Changes nothing. */
async function metaCheck(context: CliContext, options: Options): Outcome {
  const directory = await directoryOf(context, options);
  note(context, `Reading the catalog in ${directory}...`);
  const [{ openLmdbKv }, { checkCatalog }] = await Promise.all([
    import("../../../kv/index.ts"),
    import("../../../namespace/index.ts"),
  ]);
  const kv = await openLmdbKv({ path: directory });
  try {
    const report = await checkCatalog(kv);
    const { files, directories, entries, owners, faults } = report;
    if (context.json) await printJson(context, { files, directories, entries, owners, faults });
    else {
      const found =
        faults.length === 0 ? "no faults" : `${faults.length} faults:\n  ${faults.map(printable).join("\n  ")}`;
      await print(
        context,
        `${files} files, ${directories} directories, ${entries} entries, ${owners} objects: ${found}\n`,
      );
    }
    return faults.length === 0 ? undefined : EXIT.failure;
  } finally {
    await kv.close();
  }
}

async function directoryOf(context: CliContext, options: Options): Promise<string> {
  if (options.dataDir !== undefined) return options.dataDir;
  if (options.config === undefined) {
    throw new GfsError("InvalidArgument", "Name the catalog with --config FILE or with --data-dir DIRECTORY.");
  }
  const { loadConfig } = await import("../../config/index.ts");
  return (await loadConfig({ path: options.config, env: context.terminal.env })).config.coordinator.dataDirectory;
}
