import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeLine, hashOf, NO_LINE, trailFiles } from "./chain.ts";

/** Where a trail stands that another process wrote, which may have been killed in the middle of a line. */
export interface Standing {
  /** The file that is written to; undefined when there is none yet. */
  readonly file?: { readonly name: string; readonly sizeBytes: number };
  readonly seq: number;
  /** Hash of the last whole line. */
  readonly head: string;
  /** Of the last line only the end of line is missing. */
  readonly unended?: boolean;
  /** What lies behind the last whole line of the file. */
  readonly torn?: { readonly bytes: number; readonly sha256: string; readonly endsLine: boolean };
}

const FIRST_WINDOW_BYTES = 1024 * 1024;

export async function findStanding(directory: string): Promise<Standing> {
  const files = trailFiles(await readdir(directory));
  const last = files.at(-1);
  if (last === undefined) return { seq: 0, head: NO_LINE };
  const { found, rest, sizeBytes } = await lastLine(join(directory, last.name));
  const file = { name: last.name, sizeBytes };
  const torn =
    rest.byteLength === 0
      ? {}
      : { torn: { bytes: rest.byteLength, sha256: hashOf(rest), endsLine: rest.at(-1) === 0x0a } };
  const whole = found ?? (await lastBefore(directory, files.slice(0, -1)));
  const line = decodeLine(rest.toString());
  if (line?.seq === whole.seq + 1 && line.prev === whole.head)
    return { file, seq: line.seq, head: hashOf(rest), unended: true };
  return { file, ...whole, ...torn };
}

interface Place {
  readonly seq: number;
  readonly head: string;
}

/** A file without a whole line was begun just before the end; what came before it is in the one before. */
async function lastBefore(directory: string, files: readonly { readonly name: string }[]): Promise<Place> {
  for (const { name } of files.toReversed()) {
    const { found } = await lastLine(join(directory, name));
    if (found !== undefined) return found;
  }
  return { seq: 0, head: NO_LINE };
}

interface Tail {
  readonly found?: Place;
  readonly rest: Buffer;
  readonly sizeBytes: number;
}

async function lastLine(path: string): Promise<Tail> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    for (let window = Math.min(size, FIRST_WINDOW_BYTES); ; window = Math.min(size, window * 4)) {
      const bytes = Buffer.alloc(window);
      await file.read(bytes, 0, window, size - window);
      const tail = lastLineIn(bytes, window === size);
      if (tail !== undefined || window === size) return { ...(tail ?? { rest: bytes }), sizeBytes: size };
    }
  } finally {
    await file.close();
  }
}

/** Undefined when the beginning of the last whole line may lie before these bytes. */
function lastLineIn(bytes: Buffer, fromStart: boolean): Omit<Tail, "sizeBytes"> | undefined {
  for (let end = bytes.lastIndexOf(0x0a); end !== -1; end = end === 0 ? -1 : bytes.lastIndexOf(0x0a, end - 1)) {
    const begin = end === 0 ? 0 : bytes.lastIndexOf(0x0a, end - 1) + 1;
    if (begin === 0 && !fromStart) return undefined;
    const line = bytes.subarray(begin, end);
    const decoded = decodeLine(line.toString());
    if (decoded !== undefined)
      return { found: { seq: decoded.seq, head: hashOf(line) }, rest: bytes.subarray(end + 1) };
  }
  return undefined;
}
