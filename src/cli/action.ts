import type { Command } from "commander";
import type { CliContext, GlobalOptions, Outcome } from "./context.ts";

/** Runs a command with the context that its options give. */
export type Run = (options: GlobalOptions, work: (context: CliContext) => Outcome) => Promise<void>;

/** Connects a command with its work, which declares the type of the options that its command defines. */
export type Action = (
  work: (context: CliContext, options: never, words: readonly string[]) => Outcome,
) => (this: Command) => Promise<void>;

/**
 * Adds a command, or a group of them, to its parent. All of them are defined whenever the program runs: what takes time to
 * load, such as the client, the configuration's schema or a daemon, is imported where the work needs it.
 */
export type Define = (parent: Command, action: Action) => void;

export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
