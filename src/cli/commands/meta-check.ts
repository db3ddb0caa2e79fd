import { EXIT, GfsError } from "../../core/errors.ts";
import { checkCatalog } from "../../namespace/index.ts";
import { openLmdbKv } from "../../kv/index.ts";
import { loadConfig } from "../config/index.ts";
import { type CliContext, note, type Outcome, print, printJson } from "../context.ts";

/** Holds every row of a stopped coordinator's catalog against the others. Changes nothing. */
export async function metaCheck(
  context: CliContext,
  options: { readonly config?: string; readonly dataDir?: string },
): Outcome {
  const directory = await directoryOf(context, options);
  note(context, `Reading the catalog in ${directory}...`);
  const kv = await openLmdbKv({ path: directory });
  try {
    const report = await checkCatalog(kv);
    const { files, directories, entries, owners, faults } = report;
    if (context.json) await printJson(context, { files, directories, entries, owners, faults });
    else {
      const found = faults.length === 0 ? "no faults" : `${faults.length} faults:\n  ${faults.join("\n  ")}`;
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

async function directoryOf(
  context: CliContext,
  options: { readonly config?: string; readonly dataDir?: string },
): Promise<string> {
  if (options.dataDir !== undefined) return options.dataDir;
  if (options.config === undefined) {
    throw new GfsError("InvalidArgument", "Name the catalog with --config FILE or with --data-dir DIRECTORY.");
  }
  return (await loadConfig({ path: options.config, env: context.terminal.env })).config.coordinator.dataDirectory;
}
