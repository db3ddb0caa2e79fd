import type { Command } from "commander";
import { EXIT } from "../../../core/errors.ts";
import type { CheckReport } from "../../../meta/index.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, note, type Outcome, print, printJson } from "../../context.ts";
import { type CatalogChoice, catalogDirectory, CONFIG_HELP } from "../../own-catalog.ts";
import { createProgress } from "../../progress.ts";
import { printable } from "../../terminal.ts";
import { openToRead } from "./catalog.ts";

export function defineMetaCheck(meta: Command, action: Action): void {
  meta
    .command("check")
    .description("hold every row of the catalog against the others; changes nothing, and the coordinator may run")
    .option("--config <file>", CONFIG_HELP)
    .option("--data-dir <directory>", "the catalog's directory itself")
    .addHelpText(
      "after",
      examples("globalfs meta check --config config.yaml", "globalfs meta check --data-dir .globalfs/catalog"),
    )
    .action(action(metaCheck));
}

/** Reads the catalog beside the process that owns it, as it is at one moment. */
async function metaCheck(context: CliContext, options: CatalogChoice): Outcome {
  const directory = await catalogDirectory(context, options);
  note(context, `Reading the catalog in ${directory}...`);
  const [{ checkMeta }, { checkJobs }, { checkSetAside }] = await Promise.all([
    import("../../../meta/index.ts"),
    import("../../../mover/index.ts"),
    import("../../../coordinator/index.ts"),
  ]);
  const kv = await openToRead(directory);
  try {
    const progress = createProgress(context, { label: "Checking", total: (await kv.stats()).entries, unit: "items" });
    let report: CheckReport;
    try {
      report = await checkMeta(
        kv,
        { checkJobs, checkSetAside },
        { signal: context.signal, onRows: (rows) => progress.advance(rows) },
      );
    } finally {
      progress.end();
    }
    if (context.json) await printJson(context, report);
    else await print(context, describe(report));
    return report.faults === 0 ? undefined : EXIT.failure;
  } finally {
    await kv.close();
  }
}

function describe({ files, directories, entries, owners, faults, findings }: CheckReport): string {
  const counts = `${files} files, ${directories} directories, ${entries} entries, ${owners} objects`;
  if (faults === 0) return `${counts}: no faults\n`;
  const told = findings.map(({ sentence }) => `  ${printable(sentence)}\n`).join("");
  const more = faults > findings.length ? `  and ${faults - findings.length} more\n` : "";
  const fixes = [...new Set(findings.map(({ fix }) => fix))].map((fix) => `${fix}\n`).join("");
  return `${counts}: ${faults} faults:\n${told}${more}${fixes}`;
}
