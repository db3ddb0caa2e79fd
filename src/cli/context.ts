import type { Client } from "@globalfs/client";
import type { Terminal } from "./terminal.ts";
import { jsonText, printableLines, writeTo } from "./terminal.ts";

export interface GlobalOptions {
  readonly coordinatorAddr?: string;
  readonly apiKey?: string;
  readonly json?: boolean;
}

/** What every command is given. */
export interface CliContext {
  readonly terminal: Terminal;
  readonly json: boolean;
  /** Aborts when the person presses Ctrl-C or the process is told to end. */
  readonly signal: AbortSignal;
  /** By a flag or the environment. */
  readonly endpoint: string | undefined;
  readonly apiKey: string | undefined;
}

/** Exit code; undefined is success. */
export type Outcome = Promise<number | undefined>;

export function createContext(terminal: Terminal, options: GlobalOptions, signal: AbortSignal): CliContext {
  const { GLOBALFS_COORDINATOR: fromEnvironment, GLOBALFS_API_KEY: keyFromEnvironment } = terminal.env;
  return {
    terminal,
    json: options.json === true,
    signal,
    endpoint: endpointOf(options.coordinatorAddr ?? nonEmpty(fromEnvironment)),
    apiKey: options.apiKey ?? nonEmpty(keyFromEnvironment),
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** `localhost:8090` and `:8090` are as good as `http://localhost:8090`. */
function endpointOf(address: string | undefined): string | undefined {
  if (address === undefined || address.includes("://")) return address;
  return `http://${address.startsWith(":") ? `localhost${address}` : address}`;
}

/** Talks to the coordinator. The client is loaded only now, so that help and completion stay quick. */
export async function withClient<T>(context: CliContext, work: (client: Client) => Promise<T>): Promise<T> {
  const { createClient, findConnection } = await import("@globalfs/client");
  const given = {
    GLOBALFS_COORDINATOR: context.endpoint,
    GLOBALFS_API_KEY: context.apiKey,
    GLOBALFS_CLEAR_TEXT: context.terminal.env["GLOBALFS_CLEAR_TEXT"],
  };
  const client = createClient({ ...(await findConnection({ env: given })), userAgent: "globalfs-cli" });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

export async function print(context: CliContext, text: string): Promise<void> {
  await writeTo(context.terminal.stdout, text);
}

/** For people, beside the output; programs, which ask for JSON, find it there. */
export function note({ terminal, json }: CliContext, text: string): void {
  if (!json) terminal.stderr.write(`${printableLines(text)}\n`);
}

/** What somebody should know although nothing failed. */
export function warn({ terminal, json }: CliContext, text: string): void {
  terminal.stderr.write(json ? `${jsonText({ warning: text })}\n` : `globalfs: ${printableLines(text)}\n`);
}

export async function printJson(context: CliContext, value: unknown): Promise<void> {
  await print(context, `${jsonText(jsonForm(value), 2)}\n`);
}

/** The names of the REST API: snake_case, times as ISO text. */
export function jsonForm(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(jsonForm);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      jsonForm(inner),
    ]),
  );
}

/** A JSON array, written item by item, so that a listing of any length fits. */
export async function printJsonItems(context: CliContext, items: AsyncIterable<unknown>): Promise<void> {
  let first = true;
  for await (const item of items) {
    await print(context, `${first ? "[\n  " : ",\n  "}${jsonText(jsonForm(item))}`);
    first = false;
  }
  await print(context, first ? "[]\n" : "\n]\n");
}

export async function* itemsOf<T>(pages: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const page of pages) yield* page;
}
