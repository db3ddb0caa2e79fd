import { crc32c } from "@node-rs/crc32";

/**
 * How a segment lies on the disk: a block that says whether what follows counts, then batches of records, each batch at the beginning of a block, so
 * that a write never touches a block that holds something acknowledged. A segment is written over when it has been closed: each sum covers the id that
 * the segment had, so that records from before are none. `docs/formats.md` shows it.
 */
export const BLOCK_BYTES = 4_096;
const MAGIC = Buffer.from("GFSINTK1");
export const ID_BYTES = 16;
const HEADER_BYTES = 44;
const PREFIX_BYTES = 16;

/** `doubted`: the disk failed to take what the records speak of, whatever reads of it say. */
export type SegmentState = "open" | "closed" | "doubted";
const STATES: readonly SegmentState[] = ["closed", "open", "doubted"];

export interface SegmentHeader {
  readonly id: Uint8Array;
  readonly state: SegmentState;
  readonly firstSequence: number;
}

/** A change of a key's place, noted before it is made. Files are named by `instanceOf`. */
export type IntakeRecord =
  | {
      readonly kind: "put";
      readonly key: string;
      /** The file that gets the place. */
      readonly file: string;
      readonly modifiedNs: string;
      /** What had the place before. Absent: the file gets it only when nothing has it. */
      readonly replaced?: readonly string[];
      readonly attribute: Uint8Array;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "delete"; readonly key: string; readonly replaced: readonly string[] }
  /** What lies there by now is durable by itself. */
  | { readonly kind: "forget"; readonly key: string }
  /** The change of that record was not made. */
  | { readonly kind: "cancel"; readonly sequence: number };

export interface PreparedRecord {
  readonly record: IntakeRecord;
  readonly meta: Buffer;
  readonly sizeBytes: number;
}

const NOTHING = new Uint8Array();

function partsOf(record: IntakeRecord): { meta: object; attribute: Uint8Array; bytes: Uint8Array } {
  if (record.kind !== "put") return { meta: record, attribute: NOTHING, bytes: NOTHING };
  const { attribute, bytes, ...meta } = record;
  return { meta, attribute, bytes };
}

export function prepareRecord(record: IntakeRecord): PreparedRecord {
  const { meta, attribute, bytes } = partsOf(record);
  const text = Buffer.from(JSON.stringify(meta));
  return {
    record,
    meta: text,
    sizeBytes: PREFIX_BYTES + 8 + text.length + attribute.byteLength + bytes.byteLength,
  };
}

/** Writes the record at `offset`; returns where the next one goes. */
export function writeRecord(
  target: Buffer,
  offset: number,
  { prepared, id, sequence }: { readonly prepared: PreparedRecord; readonly id: Uint8Array; readonly sequence: number },
): number {
  const { meta, record, sizeBytes } = prepared;
  const { attribute, bytes } = partsOf(record);
  target.writeUInt32LE(sizeBytes - PREFIX_BYTES, offset);
  target.writeBigUInt64LE(BigInt(sequence), offset + 8);
  let at = offset + PREFIX_BYTES;
  at = target.writeUInt32LE(meta.length, at);
  at = target.writeUInt32LE(attribute.byteLength, at);
  for (const part of [meta, attribute, bytes]) {
    target.set(part, at);
    at += part.byteLength;
  }
  target.writeUInt32LE(sumOf(target.subarray(offset, at), id), offset + 4);
  return at;
}

/** Over the id, and over the record without the sum itself. */
function sumOf(record: Buffer, id: Uint8Array): number {
  const length = crc32c(record.subarray(0, 4), crc32c(Buffer.from(id)));
  return crc32c(record.subarray(8), length);
}

export function encodeHeader({ id, state, firstSequence }: SegmentHeader): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  MAGIC.copy(block, 0);
  block.writeUInt32LE(STATES.indexOf(state), 8);
  block.set(id, 12);
  block.writeBigUInt64LE(BigInt(firstSequence), 28);
  block.writeUInt32LE(crc32c(block.subarray(0, HEADER_BYTES - 8)), HEADER_BYTES - 8);
  return block;
}

/** Undefined where none was written, or one was torn: then nothing in the segment was acknowledged, or all of it has been made durable since. */
export function decodeHeader(block: Buffer): SegmentHeader | undefined {
  if (block.length < HEADER_BYTES || !block.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (block.readUInt32LE(HEADER_BYTES - 8) !== crc32c(block.subarray(0, HEADER_BYTES - 8))) return undefined;
  const state = STATES[block.readUInt32LE(8)];
  if (state === undefined) return undefined;
  return { id: block.subarray(12, 12 + ID_BYTES), state, firstSequence: Number(block.readBigUInt64LE(28)) };
}

export interface FoundRecord {
  readonly sequence: number;
  readonly record: IntakeRecord;
  readonly offset: number;
  readonly end: number;
}

/** The record at `offset`, if a whole one of this segment lies there. */
export function readRecord(segment: Buffer, offset: number, id: Uint8Array): FoundRecord | undefined {
  if (offset + PREFIX_BYTES + 8 > segment.length) return undefined;
  const end = offset + PREFIX_BYTES + segment.readUInt32LE(offset);
  if (end > segment.length || end < offset + PREFIX_BYTES + 8) return undefined;
  if (segment.readUInt32LE(offset + 4) !== sumOf(segment.subarray(offset, end), id)) return undefined;
  const metaStart = offset + PREFIX_BYTES + 8;
  const metaEnd = metaStart + segment.readUInt32LE(offset + PREFIX_BYTES);
  const attributeEnd = metaEnd + segment.readUInt32LE(offset + PREFIX_BYTES + 4);
  const meta = JSON.parse(segment.toString("utf8", metaStart, metaEnd)) as IntakeRecord;
  const record =
    meta.kind === "put"
      ? { ...meta, attribute: segment.subarray(metaEnd, attributeEnd), bytes: segment.subarray(attributeEnd, end) }
      : meta;
  return { sequence: Number(segment.readBigUInt64LE(offset + 8)), record, offset, end };
}

/** In order, up to the first that is not whole: what is behind it was never acknowledged. */
export function* recordsOf(segment: Buffer, header: SegmentHeader): Generator<FoundRecord> {
  let sequence = header.firstSequence;
  for (let offset = BLOCK_BYTES; ; sequence++) {
    const next = [offset, toBlock(offset)].map((at) => readRecord(segment, at, header.id));
    const found = next.find((each) => each?.sequence === sequence);
    if (found === undefined) return;
    yield found;
    offset = found.end;
  }
}

export function toBlock(offset: number): number {
  return Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
}
