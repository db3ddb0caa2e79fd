import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** What a command touches of the world around it; `process` is one. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The reader of a pipe went away, as `head` does: no failure of ours, but nothing more to do either. */
export class BrokenPipe extends Error {
  constructor() {
    super("The reader of the output is gone.");
    this.name = "BrokenPipe";
  }
}

/** Writes and waits until the stream takes more. */
export async function writeTo(stream: Writable, piece: string | Uint8Array): Promise<void> {
  if (stream.destroyed || stream.errored !== null) throw new BrokenPipe();
  if (stream.write(piece)) return;
  try {
    await once(stream, "drain");
  } catch (error) {
    if ((error as { code?: unknown }).code === "EPIPE") throw new BrokenPipe();
    throw error;
  }
}

const COLOR_CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Color = keyof typeof COLOR_CODES;

export function paint(terminal: Terminal, color: Color, text: string): string {
  const { NO_COLOR: noColor, TERM: term } = terminal.env;
  const plain = terminal.stdout.isTTY !== true || (noColor !== undefined && noColor !== "") || term === "dumb";
  return plain ? text : `\u001b[${COLOR_CODES[color]}m${text}\u001b[0m`;
}

const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Keys may hold anything; a terminal must not take them for commands, and what is not seen must not turn one name into another.
 * Joiners stay: emoji and many scripts need them.
 */
export function printable(text: string): string {
  return text.replaceAll(UNSEEN, escaped);
}

/** The same for sentences of several lines. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** JSON that shows the same to a person and to a program: `JSON.stringify` leaves half of the control characters as they are. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent)
    .split("\n")
    .map((line) => line.replaceAll(UNSEEN, unicodeEscape))
    .join("\n");
}

function unicodeEscape(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) as number).toString(16)}}`;
}
