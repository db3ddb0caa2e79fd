import type { PutResult } from "@globalfs/client";
import { type Command, InvalidArgumentError } from "commander";
import { EXIT } from "../../../core/errors.ts";
import { formatSize } from "../../../core/units.ts";
import { type Action, examples } from "../../action.ts";
import { localBody, openLocalSource } from "../../copy/local-source.ts";
import { counted } from "../../copy/work.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../../context.ts";
import { keyOf } from "../../location.ts";
import { KEY_HELP } from "../../options.ts";
import { createProgress } from "../../progress.ts";

interface Options {
  readonly input?: string;
  readonly contentType?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly clobber: boolean;
}

export function defineObjectPut(object: Command, action: Action): void {
  object
    .command("put")
    .description("upload an object from stdin or a file")
    .argument("<key>", KEY_HELP)
    .option("-i, --input <file>", "file to read; stdin when absent or -")
    .option("--content-type <type>", "media type kept with the object")
    .option("--meta <name=value>", "metadata kept with the object; may be repeated", collectPairs)
    .option("--no-clobber", "fail when the object exists")
    .addHelpText(
      "after",
      examples(
        'echo "hello world" | globalfs object put my-key --input -',
        "globalfs object put data/a.bin --input a.bin",
      ),
    )
    .action(action((context, options: Options, [key]) => objectPut(context, key as string, options)));
}

function collectPairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name = "", ...value] = text.split("=");
  if (!/^[A-Za-z0-9_-]+$/.test(name) || value.length === 0) throw new InvalidArgumentError("Write name=value.");
  return { ...before, [name.toLowerCase()]: value.join("=") };
}

async function objectPut(context: CliContext, key: string, options: Options): Outcome {
  const { input, contentType, meta, clobber } = options;
  return withClient(context, async (client) => {
    const source = input === undefined || input === "-" ? undefined : await openLocalSource(input);
    const bar = createProgress(context, { label: key, total: source?.size, unit: "bytes" });
    let sizeBytes = 0;
    const progress = {
      advance(amount: number) {
        sizeBytes += amount;
        bar.advance(amount);
      },
    };
    const { body, size } =
      source === undefined
        ? { body: counted(standardInput(context), progress), size: undefined }
        : localBody(source, progress);
    try {
      const result = await client.put(keyOf(key), body, {
        signal: context.signal,
        ...(size === undefined ? {} : { size }),
        ...(contentType === undefined ? {} : { contentType }),
        ...(meta === undefined ? {} : { metadata: meta }),
        ...(clobber ? {} : { ifNoneMatch: "*" }),
      });
      bar.end();
      return await reportPut(context, keyOf(key), sizeBytes, result);
    } finally {
      bar.end();
    }
  });
}

function standardInput(context: CliContext): AsyncIterable<Uint8Array> {
  const { stdin } = context.terminal;
  if (stdin.isTTY === true) note(context, "Reading from the terminal; end with Ctrl-D.");
  return stdin;
}

async function reportPut(context: CliContext, key: string, sizeBytes: number, result: PutResult): Outcome {
  const { pendingSites, etag, versionId } = result;
  if (context.json) await printJson(context, { key, size: sizeBytes, etag, versionId, pendingSites });
  else note(context, `Stored ${key} (${formatSize(sizeBytes)}).`);
  if (pendingSites.length === 0) return undefined;
  if (!context.json) note(context, `Replication still has to be queued for: ${pendingSites.join(", ")}.`);
  return EXIT.partial;
}
