import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { ImportProgress } from "@globalfs/client";
import type { Command } from "commander";
import { EXIT } from "../../core/errors.ts";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { createProgress } from "../progress.ts";

interface Options {
  readonly restart?: boolean;
}

export function defineImport(program: Command, action: Action): void {
  program
    .command("import")
    .description("adopt what a site holds already; goes on where it was interrupted")
    .argument("<site>", "name of the site")
    .argument("[prefix]", "only keys that begin with it")
    .option("--restart", "begin again from the first key")
    .addHelpText("after", examples("globalfs import cloud", "globalfs import cloud datasets/"))
    .action(
      action((context, options: Options, [site, prefix = ""]) => importSite(context, site as string, prefix, options)),
    );
}

const SAVED_AFTER_MS = 1_000;

/** Long imports are interrupted; where this one stands is kept in the person's state directory until it is done. */
async function importSite(context: CliContext, site: string, prefix: string, options: Options): Outcome {
  return withClient(context, async (client) => {
    const file = await positionFile(context, client.endpoint, { site, prefix });
    const after = options.restart === true ? undefined : await readPosition(file);
    if (after !== undefined) note(context, `Going on after ${after}; --restart begins again.`);
    const progress = createProgress(context, { label: `Importing ${site}`, unit: "items" });
    let last: ImportProgress | undefined;
    let savedMs = performance.now();
    try {
      const request = { ...(prefix === "" ? {} : { prefix }), ...(after === undefined ? {} : { after }) };
      for await (const line of client.sites.import(site, request, { signal: context.signal })) {
        progress.advance(line.scanned - (last?.scanned ?? 0));
        last = line;
        if (performance.now() - savedMs < SAVED_AFTER_MS) continue;
        savedMs = performance.now();
        await savePosition(file, line.position);
      }
    } finally {
      progress.end();
      if (last?.done === true) await rm(file, { force: true });
      else if (last !== undefined) await savePosition(file, last.position);
    }
    return report(context, site, last);
  });
}

async function report(context: CliContext, site: string, last: ImportProgress | undefined): Outcome {
  if (context.json) await printJson(context, last ?? { scanned: 0, adopted: 0, skipped: 0, refused: 0, done: false });
  if (last?.done !== true) {
    note(context, `The import of ${site} ended early; run the command again to go on.`);
    return EXIT.unavailable;
  }
  const { scanned, adopted, skipped, refused, refusedExample } = last;
  if (!context.json) note(context, `${site}: looked at ${scanned}, adopted ${adopted}, known already ${skipped}.`);
  if (refused === 0) return undefined;
  const example = refusedExample === undefined ? "" : `, such as ${JSON.stringify(refusedExample)}`;
  note(context, `${refused} keys cannot be paths and were left alone${example}.`);
  return EXIT.partial;
}

async function positionFile(
  context: CliContext,
  endpoint: string,
  { site, prefix }: { readonly site: string; readonly prefix: string },
): Promise<string> {
  const { XDG_STATE_HOME: state } = context.terminal.env;
  const directory = state === undefined || state === "" ? join(homedir(), ".local", "state") : state;
  const { createHash } = await import("node:crypto");
  const name = createHash("sha256")
    .update(JSON.stringify([endpoint, site, prefix]))
    .digest("hex")
    .slice(0, 16);
  return join(directory, "globalfs", `import-${name}`);
}

async function readPosition(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")) || undefined;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

async function savePosition(file: string, position: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, position);
  await rename(`${file}.new`, file);
}
