import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome } from "../context.ts";
import { eachPath } from "../each-path.ts";
import { UsageError } from "../failure.ts";
import { PATH_HELP } from "../modes.ts";

export function defineChown(program: Command, action: Action): void {
  program
    .command("chown")
    .description("change the owner, the group or both, by their numbers; for administrators of the path")
    .argument("<owner>", "uid, uid:gid or :gid; names are of one machine alone")
    .argument("<path...>", PATH_HELP)
    .addHelpText("after", examples("globalfs chown 1000:100 data/report", "globalfs chown :100 data"))
    .action(action((context, _options, [owner, ...paths]) => chown(context, owner as string, paths)));
}

async function chown(context: CliContext, text: string, paths: readonly string[]): Outcome {
  const owner = ownerOf(text);
  return await eachPath(context, paths, async (client, path) => {
    await client.files.setAttributes(path, { ...owner, signal: context.signal });
    return { path, ...owner };
  });
}

function ownerOf(text: string): { readonly uid?: number; readonly gid?: number } {
  const [, uid, gid] = /^(\d{1,10})?(?::(\d{1,10}))?$/.exec(text) ?? [];
  if (uid === undefined && gid === undefined)
    throw new UsageError(`"${text}" is no owner; write numbers, such as 1000, 1000:100 or :100.`);
  return { ...(uid === undefined ? {} : { uid: Number(uid) }), ...(gid === undefined ? {} : { gid: Number(gid) }) };
}
