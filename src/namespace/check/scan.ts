import { GfsError, isGfsError } from "../../core/errors.ts";
import { afterPrefix, type Key, keyAfter, type Kv, type KvEntry, type Program, type Reader } from "../../kv/index.ts";

/** How checks go through a catalog: every row of a space, page by page, each held against others. */

export type Fault = (sentence: string) => void;

export interface Scan {
  readonly fault: Fault;
  once(program: (tx: Reader) => Program<void>): Promise<void>;
  /** A row that cannot be read is a fault, and the scan goes on behind it. */
  rows(space: Key, work: (tx: Reader, row: KvEntry) => Program<void>): Promise<void>;
}

export interface ScanOptions {
  readonly fault: Fault;
  readonly signal?: AbortSignal;
  /** After every page, with how many rows were in it. */
  readonly onRows?: (rows: number) => void;
}

const PAGE = 500;

export function createScan(source: Pick<Kv, "view">, { fault, signal, onRows }: ScanOptions): Scan {
  return {
    fault,
    once: async (program) => await source.view(program),
    async rows(space, work) {
      let start = space;
      for (;;) {
        if (signal?.aborted === true) throw new GfsError("Canceled", "The check was stopped.");
        const from = start;
        const last = await source.view(function* (tx): Program<KvEntry | undefined> {
          const rows = yield* tx.range({ start: from, end: afterPrefix(space), limit: PAGE });
          for (const row of rows) {
            try {
              yield* work(tx, row);
            } catch (error) {
              if (!isGfsError(error, "DataCorrupt")) throw error;
              fault(`The row ${showKey(row.key)}, or one that it leads to, cannot be read.`);
            }
          }
          onRows?.(rows.length);
          return rows.length === PAGE ? rows.at(-1) : undefined;
        });
        if (last === undefined) return;
        start = keyAfter(last.key);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** The space as text, and the rest of the key in hex. */
export function showKey(key: Key): string {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const end = bytes.indexOf(0);
  if (end === -1) return bytes.toString("hex");
  return `${bytes.toString("latin1", 0, end)} ${bytes.toString("hex", end + 1)}`.trim();
}
