import { EXIT } from "../core/errors.ts";
import type { Run } from "./action.ts";
import { createContext, type GlobalOptions } from "./context.ts";
import { type Failure, failureOf, UsageError } from "./failure.ts";
import { buildProgram } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one command line and resolves with the exit code. `bin/globalfs.js` calls it. */
export async function main(words: readonly string[], terminal: Terminal = process): Promise<number> {
  const controller = new AbortController();
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
    const failure = failureOfProgram(error, signal);
    const { json } = program.opts<GlobalOptions>();
    report(terminal, failure, json === true || words.includes("--json"));
    return failure.exit;
  }
}

function failureOfProgram(error: unknown, signal: AbortSignal): Failure {
  const { code, exitCode, message } = error as { code?: unknown; exitCode?: unknown; message?: string };
  if (typeof code === "string" && code.startsWith("commander.")) {
    if (exitCode === 0) return { code: "Help", message: "", exit: EXIT.ok };
    // The help that a group of commands shows when it is named alone went to stderr already.
    if (code === "commander.help") return { code: "Help", message: "", exit: EXIT.usage };
    return failureOf(new UsageError((message ?? "").replace(/^error: /, "")));
  }
  const failure = failureOf(error);
  return signal.aborted && failure.code !== "BrokenPipe"
    ? { code: "Canceled", message: "Stopped.", exit: EXIT.interrupted }
    : failure;
}

function report(terminal: Terminal, failure: Failure, json: boolean): void {
  const { message, code, hint, requestId } = failure;
  if (message === "") return;
  if (json) {
    terminal.stderr.write(`${JSON.stringify({ error: message, code, hint, request_id: requestId })}\n`);
    return;
  }
  terminal.stderr.write(`globalfs: ${message}\n`);
  if (hint !== undefined) terminal.stderr.write(`${hint}\n`);
  if (requestId !== undefined && code === "Internal") {
    terminal.stderr.write(`The coordinator's log says more under request id ${requestId}.\n`);
  }
}
