import { hash } from "node:crypto";
import type { AuditedOutcome, AuditedRequest, AuditFields, AuditKind, AuditLine } from "./types.ts";

/** Lines of JSON, each with the hash of the one before, over all files in their order: what is changed or taken out shows. */

/** Before the first line there is nothing. */
export const NO_LINE = "0".repeat(64);

/** No line is longer; a request that names more paths has several. */
export const MAX_LINE_BYTES = 256 * 1024;

export interface Told {
  readonly request: AuditedRequest;
  readonly paths: readonly string[] | undefined;
  readonly outcome: AuditedOutcome;
}

/** What a line says of a request. What is undefined is no part of it. */
export function fieldsOf(kind: AuditKind, { request, paths, outcome }: Told): AuditFields {
  const { door, user, key, from, op, path, requestId } = request;
  const { status, code, claims } = outcome;
  return { kind, door, user, key, from, op, path, paths, request_id: requestId, status, code, claims };
}

/** Its place first, and the hash last. */
export function encodeLine(
  fields: AuditFields,
  { seq, atMs, prev }: { readonly seq: number; readonly atMs: number; readonly prev: string },
): Buffer {
  const said = JSON.stringify(fields).slice(1, -1);
  return Buffer.from(`{"seq":${seq},"at":"${new Date(atMs).toISOString()}",${said},"prev":"${prev}"}\n`);
}

/** Of a line's bytes, without its end. */
export function hashOf(line: Uint8Array): string {
  return hash("sha256", line, "hex");
}

const HASH = /^[0-9a-f]{64}$/;

/** Undefined for what is no line of a trail. */
export function decodeLine(text: string): AuditLine | undefined {
  try {
    const line = JSON.parse(text) as AuditLine;
    const whole =
      Number.isSafeInteger(line.seq) &&
      typeof line.at === "string" &&
      typeof line.kind === "string" &&
      typeof line.prev === "string" &&
      HASH.test(line.prev);
    return whole ? line : undefined;
  } catch {
    return undefined;
  }
}

/** Beside the catalog, whose lock keeps other processes away. */
export const AUDIT_DIRECTORY = "audit";

const FILE = /^audit-(\d{12})\.jsonl$/;

/** By the number of the file's first line, so that names are in the order of the chain. */
export function fileName(firstSeq: number): string {
  return `audit-${String(firstSeq).padStart(12, "0")}.jsonl`;
}

/** The files of a trail among these names, oldest first. */
export function trailFiles(names: readonly string[]): { readonly name: string; readonly firstSeq: number }[] {
  return names
    .flatMap((name) => {
      const match = FILE.exec(name);
      return match === null ? [] : [{ name, firstSeq: Number(match[1]) }];
    })
    .toSorted((one, other) => one.firstSeq - other.firstSeq);
}
