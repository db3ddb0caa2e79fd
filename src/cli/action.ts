import { type Command, InvalidArgumentError } from "commander";
import type { CliContext, GlobalOptions, Outcome } from "./context.ts";

/** Runs a command with the context that its options give. */
export type Run = (options: GlobalOptions, work: (context: CliContext) => Outcome) => Promise<void>;

/**
 * Connects a command's words with its module, which is loaded only when the command runs. The work declares the type of
 * the options that its command defines.
 */
export type Action = (
  work: (context: CliContext, options: never, words: readonly string[]) => Outcome,
) => (this: Command) => Promise<void>;

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

export function positive(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("Write a whole number above zero.");
}
