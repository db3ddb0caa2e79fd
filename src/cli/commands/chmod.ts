import type { Command } from "commander";
import { type Action, examples } from "../action.ts";
import { type CliContext, type Outcome } from "../context.ts";
import { eachPath } from "../each-path.ts";
import { modeChange, octal, PATH_HELP } from "../modes.ts";

export function defineChmod(program: Command, action: Action): void {
  program
    .command("chmod")
    .description("change who may read, write and execute, as file systems have it")
    .argument("<mode>", "octal, or clauses such as u=rw,go-w")
    .argument("<path...>", PATH_HELP)
    .addHelpText("after", examples("globalfs chmod 0640 data/report", "globalfs chmod u+x,go-w bin/run bin/stop"))
    .action(action((context, _options, [mode, ...paths]) => chmod(context, mode as string, paths)));
}

async function chmod(context: CliContext, text: string, paths: readonly string[]): Outcome {
  const change = modeChange(text);
  return await eachPath(context, paths, async (client, path) => {
    const { signal } = context;
    // An octal mode needs no look at what is there.
    const before = /^[0-7]+$/.test(text) ? undefined : await client.files.stat(path, { signal });
    const mode = change(before ?? { kind: "file", mode: 0 });
    await client.files.setAttributes(path, { mode, signal });
    return { path, mode: octal(mode) };
  });
}
