import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeLine, trailFiles } from "./chain.ts";
import type { AuditLine, AuditPage, AuditQuery } from "./types.ts";

/** So many lines are looked at for one answer, however few of them fit. */
const MOST_SCANNED = 50_000;
const CHUNK_BYTES = 256 * 1024;

export async function queryTrail(directory: string, query: AuditQuery): Promise<AuditPage> {
  const found: AuditLine[] = [];
  let scanned = 0;
  const page = (before?: number): AuditPage => ({
    lines: found.toReversed(),
    ...(before === undefined || before <= 1 ? {} : { before }),
  });
  for await (const line of newestFirst(directory, query.before)) {
    if (query.before !== undefined && line.seq >= query.before) continue;
    if (query.after !== undefined && line.seq <= query.after) return page();
    scanned += 1;
    if (isWanted(line, query)) found.push(line);
    if (found.length === query.limit || scanned === MOST_SCANNED) return page(line.seq);
  }
  return page();
}

function isWanted(line: AuditLine, { user, path }: AuditQuery): boolean {
  if (user !== undefined && line["user"] !== user) return false;
  if (path === undefined) return true;
  const paths = Array.isArray(line["paths"]) ? (line["paths"] as unknown[]) : [];
  return [line["path"], ...paths].some((each) => typeof each === "string" && isBelow(each, path));
}

function isBelow(path: string, above: string): boolean {
  const [one, other] = [path.replace(/^\/+/, ""), above.replace(/^\/+|\/+$/g, "")];
  return other === "" || one === other || one.startsWith(`${other}/`);
}

async function* newestFirst(directory: string, before: number | undefined): AsyncGenerator<AuditLine> {
  const files = trailFiles(await readdir(directory)).filter(
    ({ firstSeq }) => before === undefined || firstSeq < before,
  );
  for (const { name } of files.toReversed()) {
    for await (const text of linesBackwards(join(directory, name))) {
      const line = decodeLine(text);
      if (line !== undefined) yield line;
    }
  }
}

async function* linesBackwards(path: string): AsyncGenerator<string> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    // Removed since its name was read, as the oldest.
    if ((error as { code?: unknown }).code === "ENOENT") return;
    throw error;
  }
  try {
    let end = (await file.stat()).size;
    let rest = Buffer.alloc(0);
    while (end > 0) {
      const begin = Math.max(0, end - CHUNK_BYTES);
      const chunk = Buffer.alloc(end - begin);
      await file.read(chunk, 0, chunk.byteLength, begin);
      end = begin;
      rest = Buffer.concat([chunk, rest]);
      for (let at = rest.lastIndexOf(0x0a); at !== -1; at = rest.lastIndexOf(0x0a)) {
        const line = rest.subarray(at + 1);
        rest = rest.subarray(0, at);
        if (line.byteLength > 0) yield line.toString();
      }
    }
    if (rest.byteLength > 0) yield rest.toString();
  } finally {
    await file.close();
  }
}
