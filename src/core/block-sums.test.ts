import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BlockSummer,
  blocksOfSpan,
  isBlockSums,
  joinBlocks,
  nextSum,
  type SummedBlocks,
  type SummerLimits,
  wholeSum,
} from "./block-sums.ts";
import { createChecksum } from "./checksums.ts";
import { seededRandom } from "./ports/random.ts";

const crcOf = (bytes: Uint8Array): number => nextSum(bytes, 0, bytes.length, 0);

function wholeOf(bytes: Uint8Array): string {
  const sum = createChecksum("CRC32C");
  sum.update(bytes);
  return sum.digest();
}

function sumsOf(bytes: Uint8Array, cuts: readonly number[], limits: SummerLimits): SummedBlocks {
  const summer = new BlockSummer(limits);
  let offset = 0;
  for (const cut of [...cuts, bytes.length]) {
    const end = Math.min(bytes.length, offset + cut);
    summer.update(bytes.subarray(offset, end));
    offset = end;
  }
  return summer.finish();
}

const sizes = fc.integer({ min: 1, max: 400 });
const limits = fc.record({
  fewSums: fc.integer({ min: 1, max: 5 }).map((half) => 2 * half),
  blockBytes: fc.integer({ min: 1, max: 64 }),
  maxSums: fc.integer({ min: 1, max: 5 }).map((half) => 2 * half),
});
const chunks = fc.array(fc.nat(90), { maxLength: 8 });

describe("sums of blocks", () => {
  it("are those of the bytes wherever a span lies, however they came, in whatever parts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(sizes, chunks), { minLength: 1, maxLength: 6 }),
        limits,
        fc.nat(),
        fc.nat(),
        (parts, cut, one, other) => {
          const contents = parts.map(([sizeBytes], index) =>
            Buffer.from(seededRandom(index + sizeBytes).bytes(sizeBytes)),
          );
          const summed = parts.map(([, cuts], index) => sumsOf(contents[index] as Buffer, cuts, cut));
          const whole = Buffer.concat(contents);
          const sums = joinBlocks(summed);
          expect(isBlockSums(sums, whole.length)).toBe(true);
          expect(isBlockSums(sums, whole.length + 1)).toBe(false);
          summed.forEach((part, index) => {
            expect(wholeSum(part)).toBe(wholeOf(contents[index] as Buffer));
            expect(part.sums.length).toBeLessThanOrEqual(Math.max(cut.fewSums, cut.maxSums));
          });
          const start = one % whole.length;
          const end = start + 1 + (other % (whole.length - start));
          const blocks = blocksOfSpan(sums, { start, end });
          expect((blocks[0]?.start ?? whole.length) <= start).toBe(true);
          expect((blocks.at(-1)?.end ?? 0) >= end).toBe(true);
          expect((blocks[0]?.end ?? 0) > start && (blocks.at(-1)?.start ?? end) < end).toBe(true);
          blocks.forEach((block, index) => {
            expect(block.start).toBe(index === 0 ? block.start : blocks[index - 1]?.end);
            expect(block.sum).toBe(crcOf(whole.subarray(block.start, block.end)));
          });
        },
      ),
      { numRuns: 400 },
    );
  });

  it("are merged until no version keeps too many, and parts of one size share a line", () => {
    const bytes = Buffer.from(seededRandom(1).bytes(512));
    const part = sumsOf(bytes, [], { blockBytes: 1, fewSums: 1_000 });
    const sums = joinBlocks(Array.from({ length: 100 }, () => part));
    expect(sums.runs).toEqual([{ count: 100, sizeBytes: 512, blockBytes: 4 }]);
    expect(blocksOfSpan(sums, { start: 511, end: 513 })).toEqual([
      { start: 508, end: 512, sum: crcOf(bytes.subarray(508)) },
      { start: 512, end: 516, sum: crcOf(bytes.subarray(0, 4)) },
    ]);
  });

  it("stay one for each part where parts are as many as there may be sums", () => {
    const bytes = Buffer.from(seededRandom(1).bytes(8));
    const part = sumsOf(bytes, [], { blockBytes: 4, fewSums: 1_000 });
    const sums = joinBlocks(Array.from({ length: 20_000 }, () => part));
    expect(sums.runs).toEqual([{ count: 20_000, sizeBytes: 8, blockBytes: 8 }]);
    expect(blocksOfSpan(sums, { start: 159_999, end: 160_000 })).toEqual([
      { start: 159_992, end: 160_000, sum: crcOf(bytes) },
    ]);
  });

  it("that do not fit their content are known", () => {
    const sums = joinBlocks([{ sizeBytes: 3, blockBytes: 2, sums: [1, 2] }]);
    expect(isBlockSums(sums, 3)).toBe(true);
    expect(isBlockSums({ ...sums, sums: sums.sums.slice(4) }, 3)).toBe(false);
    expect(isBlockSums({ ...sums, runs: [{ count: 1, sizeBytes: 3, blockBytes: 0 }] }, 3)).toBe(false);
    expect(isBlockSums({ ...sums, runs: [] }, 3)).toBe(false);
  });
});
