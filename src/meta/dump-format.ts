import { GfsError } from "../core/errors.ts";
import { compareBytes, decodeKey, encodeKey, type Key, type KeyPart, type KvEntry, tail } from "../kv/index.ts";
import type { RowSpace } from "../namespace/index.ts";
import { spaceOf } from "./check.ts";
import { findSpace } from "./spaces.ts";

/**
 * The lines of a dump. A row is written as what it says, so that people can read it and another release can take it in; where that would not give the same bytes
 * again it is written as its bytes. `docs/formats.md` describes the whole.
 */

export const DUMP_FORMAT = 1;

export interface DumpHeader {
  readonly globalfs: "catalog dump";
  readonly format: number;
  /** The newest commit that is in it. */
  readonly revision: number;
  /** What is sealed with a key that is not in it. */
  readonly sealed: string;
}

export interface DumpTrailer {
  readonly end: true;
  readonly rows: number;
  readonly spaces: Readonly<Record<string, number>>;
  /** Of all bytes before this line. */
  readonly sha256: string;
}

type RowLine =
  | { readonly s: string; readonly k: readonly (string | number)[]; readonly v?: unknown }
  | { readonly s: string; readonly k: readonly (string | number)[]; readonly raw: string }
  | { readonly rawKey: string; readonly raw: string };

export function headerLine(revision: number): string {
  const header: DumpHeader = {
    globalfs: "catalog dump",
    format: DUMP_FORMAT,
    revision,
    sealed: "secrets of access keys, with secret.key",
  };
  return `${JSON.stringify(header)}\n`;
}

export function rowLine({ key, value }: KvEntry, space: RowSpace | undefined): string {
  return `${JSON.stringify(describeRow(key, value, space))}\n`;
}

function describeRow(key: Key, value: Uint8Array, space: RowSpace | undefined): RowLine {
  const raw = base64(value);
  const parts = space === undefined ? undefined : partsOf(key, space);
  if (space === undefined || parts === undefined) return { rawKey: base64(key), raw };
  try {
    const v = space.value.decode(value, key);
    if (compareBytes(space.value.encode(v), value) === 0)
      return v === null ? { s: space.name, k: parts } : { s: space.name, k: parts, v };
  } catch {
    // What cannot be read is kept as it is: a dump loses nothing.
  }
  return { s: space.name, k: parts, raw };
}

function partsOf(key: Key, space: RowSpace): (string | number)[] | undefined {
  try {
    const parts = decodeKey(key, space.key);
    return compareBytes(keyOf(space, parts), key) === 0 ? parts : undefined;
  } catch {
    return undefined;
  }
}

function keyOf({ name, key }: RowSpace, parts: readonly (string | number)[]): Key {
  if (parts.length !== key.length) throw unreadable("A row's key has another number of parts than its kind has.");
  return encodeKey(name, ...parts.map((part, index): KeyPart => (key[index] === "tail" ? tail(String(part)) : part)));
}

/** A row of a line; what is no row is refused. */
export function readRow(line: unknown): KvEntry {
  const row = line as Partial<{ s: string; k: (string | number)[]; v: unknown; raw: string; rawKey: string }>;
  if (typeof row.rawKey === "string" && typeof row.raw === "string")
    return { key: Buffer.from(row.rawKey, "base64"), value: Buffer.from(row.raw, "base64") };
  const space = typeof row.s === "string" ? findSpace(row.s) : undefined;
  if (space === undefined) throw unreadable(`It has a row of a kind that this release does not know: ${row.s}.`);
  if (!Array.isArray(row.k)) throw unreadable(`It has a row of kind ${space.name} without a key.`);
  const key = keyOf(space, row.k);
  if (typeof row.raw === "string") return { key, value: Buffer.from(row.raw, "base64") };
  return { key, value: space.value.encode(row.v ?? null) };
}

export function spaceOfRow(key: Key): RowSpace | undefined {
  const name = spaceOf(key);
  return name === undefined ? undefined : findSpace(name);
}

export function unreadable(sentence: string): GfsError {
  return new GfsError("DataCorrupt", `The dump cannot be taken in: ${sentence}`, { op: "meta.load" });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
