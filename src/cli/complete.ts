import attach from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { type CliContext, withClient } from "./context.ts";

const PATIENCE_MS = 300;

/** Suggests commands, flags, choices, and the names of sites where one is meant. */
export async function complete(context: CliContext, program: Command, words: readonly string[]): Promise<void> {
  const root = attach(program, { completionCommandName: "completion-script" });
  const names = await siteNames(context);
  const suggest = (add: (value: string, description: string) => void): void => {
    for (const [name, role] of names) add(name, role);
  };
  for (const [path, flags] of [
    ["replicate", ["from", "to"]],
    ["site remove", ["name"]],
  ] as const) {
    for (const flag of flags) {
      const option = root.commands.get(path)?.options.get(flag);
      if (option !== undefined) option.handler = suggest;
    }
  }
  const site = root.commands.get("import")?.arguments.get("site");
  if (site !== undefined) site.handler = suggest;
  root.parse(words[0] === "--" ? words.slice(1) : [...words]);
}

/** Whoever completes a word does not want to read errors. */
async function siteNames(context: CliContext): Promise<(readonly [string, string])[]> {
  try {
    return await withClient(context, async (client) =>
      (await client.sites.list({ timeoutMs: PATIENCE_MS, signal: AbortSignal.timeout(PATIENCE_MS) })).map(
        ({ name, role }) => [name, role] as const,
      ),
    );
  } catch {
    return [];
  }
}
