import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BLOCK_BYTES,
  decodeHeader,
  encodeHeader,
  ID_BYTES,
  type IntakeRecord,
  prepareRecord,
  recordsOf,
  type SegmentHeader,
  toBlock,
  writeRecord,
} from "./record-codec.ts";

const header: SegmentHeader = { id: Buffer.alloc(ID_BYTES, 5), state: "open", firstSequence: 7 };

/** As `Segment` writes it: each batch at the beginning of a block. */
function segmentOf(batches: readonly (readonly IntakeRecord[])[]): Buffer {
  const blocks = [encodeHeader(header)];
  let sequence = header.firstSequence;
  for (const batch of batches) {
    const prepared = batch.map(prepareRecord);
    const block = Buffer.alloc(toBlock(prepared.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)));
    let at = 0;
    for (const each of prepared) at = writeRecord(block, at, { prepared: each, id: header.id, sequence: sequence++ });
    blocks.push(block);
  }
  return Buffer.concat(blocks);
}

const text = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
const bytes = fc.uint8Array({ maxLength: 9_000 }).map((array) => Buffer.from(array));
const record: fc.Arbitrary<IntakeRecord> = fc.oneof(
  fc.record({
    kind: fc.constant("put" as const),
    key: text,
    file: text,
    modifiedNs: text,
    replaced: fc.array(text, { maxLength: 2 }),
    attribute: bytes,
    bytes,
  }),
  fc.record({ kind: fc.constant("delete" as const), key: text, replaced: fc.array(text) }),
  fc.record({ kind: fc.constant("forget" as const), key: text }),
  fc.record({ kind: fc.constant("cancel" as const), sequence: fc.nat() }),
);
const batches = fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { maxLength: 4 });

describe("a segment", () => {
  it("gives back what was written, in order", () => {
    fc.assert(
      fc.property(batches, (written) => {
        const found = [...recordsOf(segmentOf(written), header)];
        expect(found.map((each) => each.record)).toEqual(written.flat());
        expect(found.map((each) => each.sequence)).toEqual(written.flat().map((_, index) => 7 + index));
      }),
      { numRuns: 60 },
    );
  });

  it("ends before the first record that is not whole, whatever lies behind it", () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, change) => {
        const segment = segmentOf(written);
        const whole = [...recordsOf(segment, header)];
        const at = BLOCK_BYTES + (place % Math.max(1, segment.length - BLOCK_BYTES));
        fc.pre(at < segment.length);
        segment[at] = (segment[at] as number) ^ change;
        const hit = whole.findIndex(({ end }) => end > at);
        const touches = hit !== -1 && (whole[hit] as (typeof whole)[number]).offset <= at;
        const left = [...recordsOf(segment, header)];
        expect(left).toHaveLength(touches ? hit : whole.length);
      }),
      { numRuns: 100 },
    );
  });

  it("shows nothing of what was in it when it had another id", () => {
    const segment = segmentOf([[{ kind: "forget", key: "a" }]]);
    expect([...recordsOf(segment, { ...header, id: Buffer.alloc(ID_BYTES, 6) })]).toEqual([]);
    expect([...recordsOf(segment, { ...header, firstSequence: 8 })]).toEqual([]);
  });

  it("is none when its first block was torn, and whatever lies there breaks nothing", () => {
    const block = encodeHeader(header);
    expect(decodeHeader(block)).toEqual({ ...header, id: Buffer.from(header.id) });
    for (let at = 0; at < 40; at++) {
      const torn = Buffer.from(block);
      torn[at] = (torn[at] as number) ^ 1;
      expect(decodeHeader(torn)).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 * BLOCK_BYTES, size: "max" }), (noise) => {
        expect(decodeHeader(Buffer.from(noise))).toBeUndefined();
        expect([...recordsOf(Buffer.from(noise), header)]).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});
