import { createInterface } from "node:readline";
import type { CliContext } from "./context.ts";
import { printable } from "./terminal.ts";

export interface Questions {
  /** Only a plain yes is one; the end of the input is a no. */
  ask(question: string): Promise<boolean>;
  close(): void;
}

/** Asks on stderr and reads lines from stdin, as many as there are questions. */
export function createQuestions({ terminal, signal }: CliContext): Questions {
  const reader = createInterface({ input: terminal.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const lines = reader[Symbol.asyncIterator]();
  const stop = (): void => reader.close();
  signal.addEventListener("abort", stop, { once: true });
  return {
    async ask(question) {
      terminal.stderr.write(`${printable(question)} [y/N] `);
      const line = await lines.next();
      if (line.done === true) terminal.stderr.write("\n");
      signal.throwIfAborted();
      return line.done !== true && /^\s*y(es)?\s*$/i.test(line.value);
    },
    close() {
      signal.removeEventListener("abort", stop);
      reader.close();
    },
  };
}
