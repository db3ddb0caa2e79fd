import { Command, Option } from "commander";
import type { Action, Run } from "./action.ts";
import { addDaemonCommands } from "./program-daemon.ts";
import { addObjectCommands } from "./program-objects.ts";
import { addOperatorCommands } from "./program-operator.ts";
import type { Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** All commands with their flags and help, without the code behind them. */
export function buildProgram(run: Run, terminal: Terminal): Command {
  const action: Action = (work) =>
    async function (this: Command) {
      const options = this.optsWithGlobals();
      await run(options, (context) => work(context, options as never, this.args));
    };
  const program = new Command("globalfs")
    .description("One namespace over every place you keep data.")
    .version(VERSION, "-V, --version", "print the version")
    .addOption(
      new Option("--coordinator-addr <addr>", "coordinator HTTP address (default: http://localhost:8090)").env(
        "GLOBALFS_COORDINATOR",
      ),
    )
    .option("--api-key <key>", "API key for X-GlobalFS-API-Key auth (env: GLOBALFS_API_KEY)")
    .option("--json", "output in JSON format instead of a table")
    .showHelpAfterError("Run the command with --help to see how it is used.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // Said once, by `main`, which knows of --json.
      outputError: () => undefined,
    });
  addDaemonCommands(program, action);
  addObjectCommands(program, action);
  addOperatorCommands(program, action);
  return program;
}
