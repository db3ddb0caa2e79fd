import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_BYTES, BlockSummer, joinBlocks, wholeSum } from "../../core/block-sums.ts";
import { seededRandom } from "../../core/ports/random.ts";
import type { FileVersion } from "../../namespace/index.ts";
import type { Span } from "../../stores/index.ts";
import { proveRead } from "./span-proof.ts";

function versionOf(sizeBytes: number, known: Partial<FileVersion>): FileVersion {
  return { id: "v" as FileVersion["id"], sizeBytes, etag: "e", metadata: {}, createdMs: 0, copies: [], ...known };
}

function summed(bytes: Uint8Array, blockBytes: number): BlockSummer {
  const summer = new BlockSummer({ blockBytes, fewSums: 1_000 });
  summer.update(bytes);
  return summer;
}

function blocked(bytes: Uint8Array, blockBytes: number): FileVersion {
  return versionOf(bytes.length, { blocks: joinBlocks([summed(bytes, blockBytes).finish()]) });
}

/** Where it was found wrong, if anywhere, reading on from the last proven place once the bytes are right again. */
function readThrough(
  version: FileVersion,
  span: Span,
  { right, given, step }: { right: Buffer; given: Buffer; step: number },
): number[] {
  const { cover, proof } = proveRead(version, span);
  const found: number[] = [];
  let source = given;
  for (let at = cover.start; at < cover.end;) {
    const chunk = source.subarray(at, Math.min(cover.end, at + step));
    if (proof?.update(chunk) === false) {
      found.push(proof.provenEnd);
      proof.restart();
      at = proof.provenEnd;
      source = right;
      continue;
    }
    at += chunk.length;
    expect(proof?.provenEnd ?? at).toBeLessThanOrEqual(at);
  }
  expect(proof?.provenEnd ?? cover.end).toBe(cover.end);
  return found;
}

describe("what a read is held against", () => {
  it("is the sums of all blocks of its span: a flipped byte among them is found at its block, and one elsewhere is nobody's business", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 90 }),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 120 }),
        (sizeBytes, blockBytes, one, other, flip, step) => {
          const right = Buffer.from(seededRandom(sizeBytes).bytes(sizeBytes));
          const start = one % sizeBytes;
          const span = { start, end: start + 1 + (other % (sizeBytes - start)) };
          const version = blocked(right, blockBytes);
          const { cover } = proveRead(version, span);
          expect(cover).toEqual({
            start: start - (start % blockBytes),
            end: Math.min(sizeBytes, Math.ceil(span.end / blockBytes) * blockBytes),
          });
          const at = flip % sizeBytes;
          const given = Buffer.from(right);
          given[at] = (given[at] as number) ^ 1;
          const hit = at >= cover.start && at < cover.end;
          expect(readThrough(version, span, { right, given, step })).toEqual(hit ? [at - (at % blockBytes)] : []);
          expect(readThrough(version, span, { right, given: right, step })).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is whole blocks only where blocks are too large to be read for a piece of them", () => {
    const blockBytes = 9 * BLOCK_BYTES;
    const right = Buffer.alloc(2 * blockBytes + 5, 7);
    const version = blocked(right, blockBytes);
    const span = { start: 10, end: 2 * blockBytes + 2 };
    const given = Buffer.from(right);
    given[20] = 8;
    given[2 * blockBytes + 1] = 8;
    const step = BLOCK_BYTES;
    expect(proveRead(version, span).cover).toEqual({ start: 10, end: 2 * blockBytes + 5 });
    expect(readThrough(version, span, { right, given, step })).toEqual([2 * blockBytes]);
    given[blockBytes + 3] = 8;
    expect(readThrough(version, span, { right, given, step })).toEqual([blockBytes]);
    expect(readThrough(version, { start: 10, end: 500 }, { right, given, step: 100 })).toEqual([]);
  });

  it("is the sum of the whole where it has one block, and where no sums of blocks are known and it is small or read whole", () => {
    const right = Buffer.from("the bytes of a small version");
    const given = Buffer.from("The bytes of a small version");
    const value = wholeSum(summed(right, BLOCK_BYTES).finish());
    const checksums = [
      { algorithm: "CRC32C", kind: "full", value },
      { algorithm: "SHA1", kind: "full", value: "jPKT8nrvjRzJSIcMSbpwR4vGjbk=" },
    ] as const;
    const [crc32c, sha1] = checksums.map((checksum) => versionOf(right.length, { details: { checksum } }));
    expect(readThrough(crc32c as FileVersion, { start: 5, end: 6 }, { right, given, step: 10 })).toEqual([0]);
    const { cover, proof } = proveRead(sha1 as FileVersion, { start: 5, end: 6 });
    expect([cover, proof?.update(right)]).toEqual([{ start: 0, end: right.length }, false]);
    const large = versionOf(2 * BLOCK_BYTES, { details: { checksum: checksums[0] } });
    expect(proveRead(large, { start: 0, end: 5 })).toEqual({ cover: { start: 0, end: 5 }, proof: undefined });
    expect(proveRead(large, { start: 0, end: large.sizeBytes }).proof).toBeDefined();
    expect(proveRead(versionOf(10, {}), { start: 3, end: 4 })).toEqual({
      cover: { start: 3, end: 4 },
      proof: undefined,
    });
  });
});
