import { createHash } from "node:crypto";
import { GfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Key, keyAfter, type Kv, type KvEntry, type Program } from "../kv/index.ts";
import { type DumpTrailer, headerLine, rowLine, spaceOfRow } from "./dump-format.ts";

/** Writes out the catalog as it is at one moment, while commits go on. */

export interface DumpOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onRows?: (rows: number) => void;
  /** The catalog keeps all that is overwritten meanwhile, so that no reader may take for ever. */
  readonly mostMs?: number;
}

export interface DumpSummary {
  readonly rows: number;
  readonly revision: number;
  readonly sha256: string;
}

const ROWS_A_PAGE = 250;
const MOST_MS = 3_600_000;
const ALL = { start: Buffer.from([0]), end: Buffer.from([0xff]) };

/** Lines of text, some at a time; returns what was written. A catalog of the same rows and revision gives the same bytes. */
export async function* dumpCatalog(kv: Kv, options: DumpOptions): AsyncGenerator<Buffer, DumpSummary> {
  const { clock, signal, mostMs = MOST_MS } = options;
  const endMs = clock.monotonicMs() + mostMs;
  const snapshot = await kv.snapshot();
  try {
    const hash = createHash("sha256");
    const spaces: Record<string, number> = {};
    let rows = 0;
    const { revision } = snapshot;
    const write = (text: string): Buffer => {
      const bytes = Buffer.from(text);
      hash.update(bytes);
      return bytes;
    };
    yield write(headerLine(revision));
    let start: Key = ALL.start;
    for (;;) {
      if (signal?.aborted === true) throw new GfsError("Canceled", "The dump was stopped.", { op: "meta.dump" });
      if (clock.monotonicMs() > endMs) throw tookTooLong(mostMs);
      const from = start;
      const page = await snapshot.view(function* (tx): Program<KvEntry[]> {
        return yield* tx.range({ start: from, end: ALL.end, limit: ROWS_A_PAGE });
      });
      let text = "";
      let written = 0;
      for (const row of page) {
        const space = spaceOfRow(row.key);
        if (space?.isFleeting === true) continue;
        text += rowLine(row, space);
        written += 1;
        const name = space?.name ?? "";
        spaces[name] = (spaces[name] ?? 0) + 1;
      }
      rows += written;
      options.onRows?.(written);
      if (text !== "") yield write(text);
      const last = page.at(-1);
      if (last === undefined || page.length < ROWS_A_PAGE) break;
      start = keyAfter(last.key);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const trailer: DumpTrailer = { end: true, rows, spaces, sha256: hash.digest("hex") };
    yield Buffer.from(`${JSON.stringify(trailer)}\n`);
    return { rows, revision, sha256: trailer.sha256 };
  } finally {
    await snapshot.close();
  }
}

function tookTooLong(mostMs: number): GfsError {
  return new GfsError(
    "Timeout",
    `The dump has taken longer than ${Math.round(mostMs / 60_000)} minutes, and meanwhile the catalog keeps all that is overwritten; write it to a faster place.`,
    { op: "meta.dump" },
  );
}
