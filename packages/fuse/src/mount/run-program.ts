import { spawn, type StdioOptions } from "node:child_process";

export interface ProgramResult {
  readonly code: number;
  /** What it said on its standard error, without the line end. */
  readonly message: string;
}

/** What is kept of a program's words. */
const LONGEST_MESSAGE = 4096;

/** Runs a program with a descriptor as its descriptor 3, and never through a shell. Rejects with ENOENT if there is no such program. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly descriptor?: number; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<ProgramResult> {
  const stdio: StdioOptions = ["ignore", "ignore", "pipe"];
  if (options.descriptor !== undefined) stdio.push(options.descriptor);
  return new Promise((resolve, reject) => {
    // Messages of programs are read by people and by us, so their language is fixed.
    const env = { ...process.env, LC_ALL: "C", ...options.environment };
    const child = spawn(program, args, { stdio, env, cwd: "/" });
    let message = "";
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      message = (message + piece).slice(0, LONGEST_MESSAGE);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, message: message.trim() }));
  });
}
