import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeLine, hashOf, NO_LINE, trailFiles } from "./chain.ts";
import type { AuditLine } from "./types.ts";

export interface AuditReport {
  readonly files: number;
  readonly lines: number;
  readonly first?: { readonly seq: number; readonly at: string };
  /** Whoever keeps this hash somewhere else can tell later that the trail up to here is the one of today. */
  readonly last?: { readonly seq: number; readonly at: string; readonly hash: string };
  /** Lines that the end of a process cut off, as notes in the trail say. */
  readonly torn: number;
  /** Whether a line with the hash that was asked for is there. */
  readonly includes?: boolean;
  /** Empty: every line is the one that was written. */
  readonly faults: readonly string[];
}

interface Walk {
  lines: number;
  torn: number;
  first: AuditLine | undefined;
  last: { readonly line: AuditLine; readonly hash: string } | undefined;
  included: boolean;
  readonly removed: Map<number, string>;
  readonly faults: string[];
}

const MOST_FAULTS = 100;
const MOST_ATTEMPTS = 5;

/** Walks the whole chain. Changes nothing, and may run beside the process that writes, which removes the oldest files now and then. */
export async function verifyTrail(directory: string, includes?: string): Promise<AuditReport> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await walkFiles(directory, includes);
    } catch (error) {
      // Removed since its name was read. What says so may lie in a file that is newer than all names that were read.
      if (attempt === MOST_ATTEMPTS || (error as { code?: unknown }).code !== "ENOENT") throw error;
    }
  }
}

async function walkFiles(directory: string, includes: string | undefined): Promise<AuditReport> {
  const files = trailFiles(await readdir(directory));
  const walk: Walk = {
    lines: 0,
    torn: 0,
    first: undefined,
    last: undefined,
    included: false,
    removed: new Map(),
    faults: [],
  };
  for (const [index, { name, firstSeq }] of files.entries()) {
    const bytes = await readFile(join(directory, name));
    walkFile(walk, { name, firstSeq, bytes, newest: index === files.length - 1, includes });
  }
  const { first, last } = walk;
  if (first !== undefined && first.seq > 1 && walk.removed.get(first.seq - 1) !== first.prev)
    walk.faults.unshift(`The lines before ${first.seq} are missing, and no line says that they were removed.`);
  if (first?.seq === 1 && first.prev !== NO_LINE) walk.faults.unshift("The first line does not begin a trail.");
  return {
    files: files.length,
    lines: walk.lines,
    torn: walk.torn,
    ...(first === undefined ? {} : { first: { seq: first.seq, at: first.at } }),
    ...(last === undefined ? {} : { last: { seq: last.line.seq, at: last.line.at, hash: last.hash } }),
    ...(includes === undefined ? {} : { includes: walk.included }),
    faults: walk.faults.slice(0, MOST_FAULTS),
  };
}

interface TrailFile {
  readonly name: string;
  readonly firstSeq: number;
  readonly bytes: Buffer;
  readonly newest: boolean;
  readonly includes: string | undefined;
}

function walkFile(walk: Walk, { name, firstSeq, bytes, newest, includes }: TrailFile): void {
  /** Since here nothing could be read. */
  let strange: number | undefined;
  let fresh = true;
  for (let begin = 0; begin < bytes.byteLength;) {
    const newline = bytes.indexOf(0x0a, begin);
    const end = newline === -1 ? bytes.byteLength : newline;
    const text = bytes.subarray(begin, end);
    const line = newline === -1 ? undefined : decodeLine(text.toString());
    if (line === undefined) strange ??= begin;
    else {
      const skipped = strange === undefined ? undefined : bytes.subarray(strange, begin);
      strange = undefined;
      if (skipped !== undefined) judgeSkipped(walk, name, { skipped, line });
      if (fresh && line.seq !== firstSeq && skipped === undefined)
        walk.faults.push(`${name}: begins with line ${line.seq}.`);
      fresh = false;
      follow(walk, name, line);
      const hash = hashOf(text);
      walk.included ||= hash === includes;
      walk.last = { line, hash };
    }
    begin = end + 1;
  }
  if (strange !== undefined && !newest)
    walk.faults.push(`${name}: what follows line ${walk.last?.line.seq ?? 0} cannot be read.`);
}

function follow(walk: Walk, name: string, line: AuditLine): void {
  walk.lines += 1;
  walk.first ??= line;
  const { last } = walk;
  if (last !== undefined) {
    if (line.seq !== last.line.seq + 1)
      walk.faults.push(`${name}: line ${line.seq} follows line ${last.line.seq}; what was between is missing.`);
    else if (line.prev !== last.hash)
      walk.faults.push(`${name}: line ${last.line.seq} is not the one that line ${line.seq} was written after.`);
  }
  if (line.kind === "trail" && line["what"] === "removed")
    walk.removed.set(Number(line["last_seq"]), String(line["last_hash"]));
}

/** What a process that was killed left of a line is explained by the note of the one that came after it. */
function judgeSkipped(
  walk: Walk,
  name: string,
  { skipped, line }: { readonly skipped: Buffer; readonly line: AuditLine },
): void {
  const explained =
    line.kind === "trail" &&
    line["what"] === "torn" &&
    [skipped, skipped.subarray(0, -1)].some((bytes) => hashOf(bytes) === line["sha256"]);
  if (explained) walk.torn += 1;
  else walk.faults.push(`${name}: what is before line ${line.seq} cannot be read, and no line says why.`);
}
