import { createHash } from "node:crypto";
import { GfsError } from "../core/errors.ts";
import { BUDGET, type Kv, type KvEntry, type Program } from "../kv/index.ts";
import { DUMP_FORMAT, type DumpHeader, type DumpTrailer, readRow, spaceOfRow, unreadable } from "./dump-format.ts";

/** Takes a dump into an empty catalog. Whether it is whole is known at its last line only: until then the catalog is not to be used. */

export interface LoadOptions {
  readonly signal?: AbortSignal;
  readonly onRows?: (rows: number) => void;
}

export interface LoadSummary {
  readonly rows: number;
  /** Of the catalog that was dumped: that of the new one must not be lower. */
  readonly revision: number;
  readonly spaces: Readonly<Record<string, number>>;
  readonly sha256: string;
}

/** So many transactions are under way at a time; they share their flushes. */
const MOST_UNDER_WAY = 16;
const MOST_LINE_BYTES = 8 * 1024 ** 2;

/** Reads a dump to its end and gives its rows, in batches; returns what it said of itself, once that has proved true. */
export async function* readDump(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<KvEntry[], LoadSummary> {
  const hash = createHash("sha256");
  let header: DumpHeader | undefined;
  let trailer: DumpTrailer | undefined;
  const spaces: Record<string, number> = {};
  let rows = 0;
  for await (const lines of linesOf(bytes)) {
    const batch: KvEntry[] = [];
    for (const line of lines) {
      if (trailer !== undefined) throw unreadable("There is something behind its end.");
      const value = parseLine(line);
      if (header === undefined) {
        header = checkHeader(value);
      } else if ((value as Partial<DumpTrailer>).end === true) {
        trailer = value as DumpTrailer;
        continue;
      } else {
        const row = readRow(value);
        const name = spaceOfRow(row.key)?.name ?? "";
        spaces[name] = (spaces[name] ?? 0) + 1;
        rows += 1;
        batch.push(row);
      }
      hash.update(line);
      hash.update("\n");
    }
    if (batch.length > 0) yield batch;
  }
  if (header === undefined) throw unreadable("It is empty.");
  if (trailer === undefined) throw unreadable("Its end is missing, so that it is not the whole catalog.");
  const sha256 = hash.digest("hex");
  if (trailer.sha256 !== sha256) throw unreadable("Its SHA-256 is not the one that its last line names.");
  if (trailer.rows !== rows) throw unreadable(`Its last line counts ${trailer.rows} rows, and it has ${rows}.`);
  return { rows, revision: header.revision, spaces, sha256 };
}

export async function loadCatalog(
  kv: Kv,
  bytes: AsyncIterable<Uint8Array>,
  { signal, onRows }: LoadOptions = {},
): Promise<LoadSummary> {
  const dump = readDump(bytes);
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const write = async (rows: readonly KvEntry[]): Promise<void> => {
    const work: Promise<void> = kv
      .transact(function* (tx): Program<void> {
        for (const { key, value } of rows) tx.put(key, value);
      })
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
    if (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay);
    if (failure !== undefined) throw failure.error;
  };
  const batch = new Batch();
  try {
    for (;;) {
      if (signal?.aborted === true) throw new GfsError("Canceled", "The load was stopped.", { op: "meta.load" });
      const next = await dump.next();
      if (next.done === true) {
        await write(batch.take());
        await Promise.all(underWay);
        if (failure !== undefined) throw failure.error;
        return next.value;
      }
      for (const row of next.value) {
        if (!batch.hasRoom(row)) await write(batch.take());
        batch.add(row);
      }
      onRows?.(next.value.length);
    }
  } finally {
    await Promise.all(underWay);
  }
}

/** As much as a transaction takes. */
class Batch {
  #rows: KvEntry[] = [];
  #sizeBytes = 0;

  hasRoom(row: KvEntry): boolean {
    return this.#rows.length < BUDGET.writes && this.#sizeBytes + sizeOf(row) <= BUDGET.sizeBytes;
  }

  add(row: KvEntry): void {
    this.#rows.push(row);
    this.#sizeBytes += sizeOf(row);
  }

  take(): readonly KvEntry[] {
    const rows = this.#rows;
    this.#rows = [];
    this.#sizeBytes = 0;
    return rows;
  }
}

function sizeOf({ key, value }: KvEntry): number {
  return key.byteLength + value.byteLength;
}

function checkHeader(value: unknown): DumpHeader {
  const header = value as Partial<DumpHeader>;
  if (header.globalfs !== "catalog dump") throw unreadable("Its first line is not that of a dump of a catalog.");
  if (header.format !== DUMP_FORMAT)
    throw unreadable(`It has format ${String(header.format)}, and this release reads format ${DUMP_FORMAT}.`);
  if (!Number.isSafeInteger(header.revision)) throw unreadable("Its first line names no revision.");
  return header as DumpHeader;
}

function parseLine(line: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(line.toString());
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Said below.
  }
  throw unreadable(`A line of it is no JSON object: ${JSON.stringify(line.toString("utf8", 0, 60))}.`);
}

/** Whole lines without their ends, those of a piece at a time. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of bytes) {
    const whole = rest.byteLength === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = whole.indexOf(0x0a); end !== -1; end = whole.indexOf(0x0a, start)) {
      lines.push(whole.subarray(start, end));
      start = end + 1;
    }
    rest = whole.subarray(start);
    if (rest.byteLength > MOST_LINE_BYTES) throw unreadable(`A line of it has more than ${MOST_LINE_BYTES} bytes.`);
    if (lines.length > 0) yield lines;
  }
  if (rest.byteLength > 0) throw unreadable("It breaks off in the middle of a line.");
}
