import type { FilePath, Inode } from "../core/ids.ts";
import { type Key, type PartShape } from "../kv/index.ts";
import { decodeAttributes, decodeMoment, encodeAttributes, encodeMoment } from "./attributes-codec.ts";
import { type BucketRow, decodeBucketRow, encodeBucket } from "./bucket-codec.ts";
import { decodeContent, encodeContent } from "./content-codec.ts";
import { decodeHistory, decodeSequence, encodeHistory, encodeSequence, type HistoryRow } from "./history-rows.ts";
import {
  decodeChange,
  decodeEntry,
  decodeNumber,
  decodeOwner,
  decodeTombstone,
  encodeChange,
  encodeEntry,
  encodeNumber,
  encodeOwner,
  encodeTombstone,
} from "./rows.ts";
import type { Change, FileAttributes, FileVersion, Owner, Tombstone, VersionPart } from "./types.ts";
import type { Entry } from "./rows.ts";
import type { Moment } from "../core/moment.ts";
import { decodeQuota, encodeQuota, type Quota } from "./quota-rows.ts";
import { decodeUsage, encodeUsage, type UsageRow } from "./usage-rows.ts";
import { decodeTree, encodeTree, type Tree } from "./tree-row.ts";
import { decodeVersionParts, encodeVersionParts } from "./version-parts.ts";

/** Every kind of row that the namespace keeps: what its keys are made of, and how its values read as JSON and back. */

export interface RowValue {
  /** What the key says already is left out. */
  decode(bytes: Uint8Array, key: Key): unknown;
  encode(value: unknown): Uint8Array;
}

export interface RowSpace {
  readonly name: string;
  readonly key: readonly PartShape[];
  readonly value: RowValue;
  /** Belongs to a process that runs: it means nothing in another catalog. */
  readonly isFleeting?: true;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The row says that there is one. */
export const EMPTY: RowValue = { decode: () => null, encode: () => Buffer.alloc(0) };
export const TEXT: RowValue = {
  decode: (bytes) => asBuffer(bytes).toString(),
  encode: (value) => Buffer.from(value as string),
};
export const JSON_TEXT: RowValue = {
  decode: (bytes) => JSON.parse(asBuffer(bytes).toString()) as unknown,
  encode: (value) => Buffer.from(JSON.stringify(value)),
};
export const BYTES: RowValue = {
  decode: (bytes) => asBuffer(bytes).toString("base64"),
  encode: (value) => Buffer.from(value as string, "base64"),
};
const NUMBER: RowValue = {
  decode: (bytes) => decodeNumber(bytes),
  encode: (value) => encodeNumber(value as number),
};
/** It is not in the value. */
const ANY_INODE = 0 as Inode;

function without<T extends object>(whole: T, ...names: readonly (keyof T)[]): Partial<T> {
  return Object.fromEntries(Object.entries(whole).filter(([name]) => !names.includes(name as keyof T))) as Partial<T>;
}

export const namespaceSpaces: readonly RowSpace[] = [
  {
    name: "i",
    key: ["number"],
    value: {
      decode: (bytes) => without(decodeAttributes(ANY_INODE, bytes), "inode"),
      encode: (value) => encodeAttributes(value as FileAttributes),
    },
  },
  {
    name: "ic",
    key: ["number"],
    value: { decode: decodeContent, encode: (value) => encodeContent(value as FileVersion) },
  },
  { name: "it", key: ["number"], value: { decode: decodeMoment, encode: (value) => encodeMoment(value as Moment) } },
  { name: "io", key: ["number", "tail"], value: EMPTY },
  { name: "os", key: ["string", "number"], value: EMPTY },
  { name: "s", key: ["tail"], value: EMPTY, isFleeting: true },
  { name: "ix", key: ["number", "tail"], value: BYTES },
  { name: "iw", key: ["number"], value: EMPTY },
  { name: "iu", key: ["number"], value: { decode: decodeUsage, encode: (value) => encodeUsage(value as UsageRow) } },
  { name: "uw", key: ["number"], value: EMPTY },
  { name: "uq", key: ["number"], value: { decode: decodeQuota, encode: (value) => encodeQuota(value as Quota) } },
  { name: "in", key: ["number", "number", "tail"], value: EMPTY },
  {
    name: "d",
    key: ["number", "tail"],
    value: { decode: decodeEntry, encode: (value) => encodeEntry(value as Entry) },
  },
  {
    name: "o",
    key: ["string", "tail"],
    value: { decode: decodeOwner, encode: (value) => encodeOwner(value as Owner) },
  },
  {
    name: "t",
    key: ["tail"],
    value: {
      decode: (bytes) => without(decodeTombstone("" as FilePath, bytes), "path"),
      encode: (value) => encodeTombstone(value as Tombstone),
    },
  },
  { name: "de", key: ["number", "number"], value: EMPTY },
  { name: "ta", key: ["number", "tail"], value: EMPTY },
  { name: "w", key: ["tail"], value: JSON_TEXT },
  { name: "wl", key: ["tail"], value: EMPTY, isFleeting: true },
  { name: "c", key: ["number"], value: { decode: decodeChange, encode: (value) => encodeChange(value as Change) } },
  { name: "m", key: ["number"], value: JSON_TEXT },
  {
    name: "b",
    key: ["tail"],
    value: {
      decode: (bytes) => decodeBucketRow(bytes),
      encode: (value) => encodeBucket(value as BucketRow),
    },
  },
  { name: "bd", key: ["number", "tail"], value: TEXT },
  { name: "n", key: ["string"], value: NUMBER },
  { name: "nt", key: [], value: { decode: decodeTree, encode: (value) => encodeTree(value as Tree) } },
  {
    name: "vp",
    key: ["string"],
    value: { decode: decodeVersionParts, encode: (value) => encodeVersionParts(value as VersionPart[]) },
  },
  { name: "u", key: ["string", "tail"], value: JSON_TEXT },
  { name: "up", key: ["string", "number"], value: JSON_TEXT },
  { name: "us", key: ["string", "tail"], value: EMPTY },
  { name: "ue", key: ["tail"], value: JSON_TEXT },
  { name: "ut", key: ["number", "string", "tail"], value: EMPTY },
  { name: "ux", key: ["number", "tail"], value: EMPTY },
  { name: "ug", key: ["string", "number"], value: EMPTY },
  {
    name: "v",
    key: ["number", "string", "number"],
    value: {
      decode: (bytes, key) => without(decodeHistory(key, bytes), "directory", "name", "sequence"),
      encode: (value) => encodeHistory(value as HistoryRow),
    },
  },
  {
    name: "vi",
    key: ["number", "string", "tail"],
    value: { decode: decodeSequence, encode: (value) => encodeSequence(value as number) },
  },
  { name: "vs", key: ["string", "number", "tail"], value: JSON_TEXT },
  { name: "vd", key: ["number", "string", "number"], value: NUMBER },
];
