import { basename } from "node:path";
import type { Client } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, note, type Outcome, printJson, withClient } from "../context.ts";
import { UsageError } from "../failure.ts";
import { findObject } from "../find-object.ts";
import { isRoot, keyOf } from "../location.ts";

interface Options {
  readonly force?: boolean;
}

export function defineMv(program: Command, action: Action): void {
  program
    .command("mv")
    .description(
      "rename an object, move it into a directory that ends in /, or with / on both rename a whole directory",
    )
    .argument("<from>", "key now")
    .argument("<to>", "key then")
    .option("-f, --force", "replace the target when it exists")
    .addHelpText(
      "after",
      examples(
        "globalfs mv draft.txt final.txt",
        "globalfs mv draft.txt archive/",
        "globalfs mv runs/1/ archive/run-1/",
      ),
    )
    .action(
      action((context, options: Options, [from, to]) =>
        mv(context, keyOf(from as string), keyOf(to as string), options),
      ),
    );
}

async function mv(context: CliContext, from: string, to: string, options: Options): Outcome {
  if (isRoot(from)) throw new UsageError(`"${from}" is the root, and cannot be renamed.`);
  if (isRoot(to))
    throw new UsageError(`"${to}" is the root, and no new name; write the whole key, such as archive/run-1/.`);
  return withClient(context, async (client) => {
    const request = { from, to: await targetOf(context, client, { from, to }), overwrite: options.force === true };
    await client.rename(request, { signal: context.signal });
    if (context.json) await printJson(context, request);
    else note(context, `Renamed ${request.from} to ${request.to}.`);
    return undefined;
  });
}

/** A target that is a directory takes a file under its own name, as `cp` has it. */
async function targetOf(
  { signal }: CliContext,
  client: Client,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<string> {
  if (from.endsWith("/")) return to;
  if (to.endsWith("/")) return to + basename(from);
  if ((await isDirectory(client, to, signal)) && (await findObject(client, to, signal)) === undefined)
    throw new UsageError(`${to} is a directory; write ${to}/ to move ${from} into it.`);
  return to;
}

/** As far as the caller may see. */
async function isDirectory(client: Client, key: string, signal: AbortSignal): Promise<boolean> {
  try {
    const { objects } = await client.listPage({ prefix: `${key}/`, limit: 1, signal });
    return objects.length > 0;
  } catch (error) {
    if ((error as { code?: unknown }).code === "PermissionDenied") return false;
    throw error;
  }
}
