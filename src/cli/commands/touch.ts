import type { Client } from "@globalfs/client";
import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome } from "../context.ts";
import { eachPath } from "../each-path.ts";
import { UsageError } from "../failure.ts";
import { PATH_HELP } from "../modes.ts";

interface Options {
  readonly create: boolean;
  readonly date?: string;
  readonly access?: boolean;
  readonly modification?: boolean;
}

export function defineTouch(program: Command, action: Action): void {
  program
    .command("touch")
    .description("set times to now, or to a date, and make empty files where there are none")
    .argument("<path...>", PATH_HELP)
    .option("-c, --no-create", "make nothing")
    .option("-d, --date <date>", "ISO 8601, to the nanosecond, instead of now")
    .option("-a, --access", "only the time of the last access")
    .option("-m, --modification", "only the time of the last modification")
    .addHelpText("after", examples("globalfs touch done", "globalfs touch -c -d 2026-01-31T12:00:00Z data/report"))
    .action(action((context, options: Options, paths) => touch(context, paths, options)));
}

async function touch(context: CliContext, paths: readonly string[], options: Options): Outcome {
  const { signal } = context;
  const { date = "now", access = false, modification = false, create } = options;
  if (date !== "now" && Number.isNaN(Date.parse(date)))
    throw new UsageError(`"${date}" is no date; write it as 2026-01-31T12:00:00Z.`);
  const time = date === "now" ? date : withZone(date);
  const times = {
    ...(access || !modification ? { accessedAt: time } : {}),
    ...(modification || !access ? { modifiedAt: time } : {}),
  };
  return await eachPath(context, paths, async (client, path) => {
    if (!(await isThere(client, path, signal))) {
      if (!create) return { path, touched: false };
      await make(client, path, signal);
      if (date === "now") return { path, touched: true };
    }
    await client.files.setAttributes(path, { ...times, signal });
    return { path, touched: true };
  });
}

/** A day alone, or a time without a zone, is UTC. */
function withZone(date: string): string {
  const [day, time = "00:00:00Z"] = date.split("T");
  const full = /^\d\d:\d\d(?=$|Z|[+-])/.test(time) ? time.replace(/^\d\d:\d\d/, "$&:00") : time;
  return `${day}T${/(Z|[+-]\d\d:\d\d)$/.test(full) ? full : `${full}Z`}`;
}

async function isThere(client: Client, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.files.stat(path, { signal });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "NotFound") return false;
    throw error;
  }
}

/** Somebody else may have made it meanwhile. */
async function make(client: Client, path: string, signal: AbortSignal): Promise<void> {
  try {
    await client.put(path, "", { ifNoneMatch: "*", signal });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "PreconditionFailed") throw error;
  }
}
