import { join } from "node:path";
import type { Command } from "commander";
import { EXIT } from "../../../core/errors.ts";
import { type Action, examples } from "../../action.ts";
import { type CliContext, type Outcome, print, printJson } from "../../context.ts";
import { catalogDirectory, CONFIG_HELP, type CatalogChoice } from "../../own-catalog.ts";
import { printable } from "../../terminal.ts";

interface Options extends CatalogChoice {
  readonly includes?: string;
}

export function defineAuditVerify(audit: Command, action: Action): void {
  audit
    .command("verify")
    .description(
      "follow the audit trail from its first line to its last, on the coordinator's machine; changes nothing",
    )
    .option("--config <file>", CONFIG_HELP)
    .option("--data-dir <directory>", "the catalog's directory itself")
    .option("--includes <hash>", "a line with this hash, noted at an earlier run, has to be in it")
    .addHelpText(
      "after",
      examples("globalfs audit verify --config config.yaml", "globalfs audit verify --data-dir .globalfs/catalog"),
    )
    .action(action(auditVerify));
}

async function auditVerify(context: CliContext, options: Options): Outcome {
  const { AUDIT_DIRECTORY, verifyTrail } = await import("../../../security/index.ts");
  const directory = join(await catalogDirectory(context, options), AUDIT_DIRECTORY);
  const report = await verifyTrail(directory, options.includes?.toLowerCase());
  const { lines, files, torn, first, last, includes } = report;
  const faults = [
    ...report.faults,
    ...(lines === 0 ? [`There is no audit trail in ${directory}.`] : []),
    ...(includes === false
      ? ["No line has the hash that was asked for: what followed it was written anew, or is gone."]
      : []),
  ];
  if (context.json) await printJson(context, { ...report, faults });
  else {
    const span =
      first === undefined || last === undefined ? "" : `, ${first.seq} (${first.at}) to ${last.seq} (${last.at})`;
    const cut = torn === 0 ? "" : `, ${torn} cut off by the end of a process`;
    const found =
      faults.length === 0 ? "no faults" : `${faults.length} faults:\n  ${faults.map(printable).join("\n  ")}`;
    const head = last === undefined ? "" : `Hash of the last line: ${last.hash}\n`;
    await print(context, `${lines} lines in ${files} files${span}${cut}: ${found}\n${head}`);
  }
  return faults.length === 0 ? undefined : EXIT.failure;
}
