import { setMaxListeners } from "node:events";
import type { Command } from "commander";
import { EXIT } from "../core/errors.ts";
import type { Run } from "./action.ts";
import { createContext, type GlobalOptions } from "./context.ts";
import { type Failure, failureOf, UsageError } from "./failure.ts";
import { buildProgram } from "./program.ts";
import { jsonText, printableLines, type Terminal } from "./terminal.ts";

/** Runs one command line and resolves with the exit code. `bin/globalfs.js` calls it. */
export async function main(words: readonly string[], terminal: Terminal = process): Promise<number> {
  const controller = new AbortController();
  // Each of the files that are copied at a time listens, and ends listening with its own end.
  setMaxListeners(0, controller.signal);
  const stop = (signal: NodeJS.Signals): void => {
    // The first asks the command to end tidily; whoever asks twice does not want to wait.
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(new DOMException(`Stopped by ${signal}.`, "AbortError"));
  };
  // Writes that are under way when a reader goes away fail where they are made; without this, Node would end the process.
  const ignore = (): void => undefined;
  terminal.stdout.on("error", ignore);
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await runWords(words, terminal, controller.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    terminal.stdin.destroy();
  }
}

async function runWords(words: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  let exit: number = EXIT.ok;
  const run: Run = async (options, work) => {
    exit = (await work(createContext(terminal, options, signal))) ?? EXIT.ok;
  };
  const program = buildProgram(run, terminal);
  try {
    if (words[0] === "complete") {
      const { complete } = await import("./complete.ts");
      await complete(createContext(terminal, {}, signal), buildProgram(run, terminal), words.slice(1));
    } else if (words.length === 0) program.outputHelp();
    else await program.parseAsync([...words], { from: "user" });
    return exit;
  } catch (error) {
    const failure = failureOfProgram(error, { program, words, signal });
    const { json } = program.opts<GlobalOptions>();
    report(terminal, failure, json === true || words.includes("--json"));
    return failure.exit;
  }
}

interface Asked {
  readonly program: Command;
  readonly words: readonly string[];
  readonly signal: AbortSignal;
}

function failureOfProgram(error: unknown, { program, words, signal }: Asked): Failure {
  const { code, exitCode, message } = error as { code?: unknown; exitCode?: unknown; message?: string };
  if (typeof code === "string" && code.startsWith("commander.")) {
    if (exitCode === 0) return { code: "Help", message: "", exit: EXIT.ok };
    const command = namedBy(program, words);
    const sentence =
      code === "commander.help"
        ? `${pathOf(command)} is a group of commands: ${command.commands.map((inner) => inner.name()).join(", ")}.`
        : (message ?? "").replace(/^error: /, "");
    return { ...failureOf(new UsageError(sentence)), hint: `${pathOf(command)} --help says how it is used.` };
  }
  const failure = failureOf(error);
  return signal.aborted && failure.code !== "BrokenPipe"
    ? { code: "Canceled", message: "Stopped.", exit: EXIT.interrupted }
    : failure;
}

/** The command that the words name, as far as they name one. */
function namedBy(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) command = command.commands.find((inner) => inner.name() === word) ?? command;
  return command;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function report(terminal: Terminal, failure: Failure, json: boolean): void {
  const { message, code, hint, requestId } = failure;
  if (message === "") return;
  if (json) {
    terminal.stderr.write(`${jsonText({ error: message, code, hint, request_id: requestId })}\n`);
    return;
  }
  terminal.stderr.write(`globalfs: ${printableLines(message)}\n`);
  if (hint !== undefined) terminal.stderr.write(`${hint}\n`);
  if (requestId !== undefined && code === "Internal") {
    terminal.stderr.write(`The coordinator's log says more under request id ${requestId}.\n`);
  }
}
