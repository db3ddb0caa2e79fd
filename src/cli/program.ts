import { Command, Option } from "commander";
import type { Action, Define, Run } from "./action.ts";
import { defineAudit } from "./commands/audit/index.ts";
import { defineCat } from "./commands/cat.ts";
import { defineChmod } from "./commands/chmod.ts";
import { defineChown } from "./commands/chown.ts";
import { defineCompletion } from "./commands/completion.ts";
import { defineConfig } from "./commands/config/index.ts";
import { defineCoordinator } from "./commands/coordinator/index.ts";
import { defineCp } from "./commands/cp.ts";
import { defineDf } from "./commands/df.ts";
import { defineDu } from "./commands/du.ts";
import { defineExplain } from "./commands/explain.ts";
import { defineImport } from "./commands/import.ts";
import { defineInfo } from "./commands/info.ts";
import { defineJobs } from "./commands/jobs/index.ts";
import { defineKey } from "./commands/key/index.ts";
import { defineLn } from "./commands/ln.ts";
import { defineLs } from "./commands/ls.ts";
import { defineMeta } from "./commands/meta/index.ts";
import { defineMkdir } from "./commands/mkdir.ts";
import { defineMv } from "./commands/mv.ts";
import { defineObject } from "./commands/object/index.ts";
import { defineSession } from "./commands/session/index.ts";
import { defineLeases } from "./commands/leases.ts";
import { defineQuota } from "./commands/quota/index.ts";
import { defineReplicate } from "./commands/replicate.ts";
import { defineRm } from "./commands/rm.ts";
import { defineSite } from "./commands/site/index.ts";
import { defineStat } from "./commands/stat.ts";
import { defineStatus } from "./commands/status.ts";
import { defineTouch } from "./commands/touch.ts";
import { defineWatch } from "./commands/watch.ts";
import { defineUp } from "./commands/up.ts";
import { defineVersion } from "./commands/version.ts";
import { UsageError } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** In the order of `globalfs --help`. */
const COMMANDS: readonly Define[] = [
  defineUp,
  defineCoordinator,
  defineConfig,
  defineKey,
  defineMeta,
  defineAudit,
  defineVersion,
  defineCompletion,
  defineObject,
  defineLs,
  defineCat,
  defineCp,
  defineMv,
  defineRm,
  defineDf,
  defineDu,
  defineStat,
  defineMkdir,
  defineLn,
  defineTouch,
  defineChmod,
  defineChown,
  defineQuota,
  defineSession,
  defineLeases,
  defineSite,
  defineReplicate,
  defineJobs,
  defineImport,
  defineWatch,
  defineExplain,
  defineInfo,
  defineStatus,
];

/** All commands with their flags, their help and their work. */
export function buildProgram(run: Run, terminal: Terminal): Command {
  const action: Action = (work) =>
    async function (this: Command) {
      refuseEmptyWords(this);
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
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      // Said once, by `main`, which knows of --json.
      writeErr: () => undefined,
      outputError: () => undefined,
    });
  for (const define of COMMANDS) define(program, action);
  return program;
}

/** What an unset variable leaves behind is never meant: an empty key would be the root, an empty name nothing at all. */
function refuseEmptyWords(command: Command): void {
  const refuse = (name: string): never => {
    throw new UsageError(`${name} is empty; is a variable not set? Leave it away, or write what is meant.`);
  };
  for (const [index, word] of command.args.entries()) {
    const known = command.registeredArguments;
    if (word === "") refuse(`<${(known[index] ?? known.at(-1))?.name() ?? "word"}>`);
  }
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options) {
      const name = option.attributeName();
      if (at.getOptionValue(name) === "" && at.getOptionValueSource(name) === "cli")
        refuse(option.long ?? option.flags);
    }
  }
}
