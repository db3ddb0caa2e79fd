import { crc32c } from "@node-rs/crc32";
import { joinerOf } from "./crc-combine.ts";

/**
 * CRC32Cs of the blocks of a content, so that any piece of it can be held against what was written, wherever it comes from. What came in parts has a grid of
 * its own in each part, as nobody knew where a part would begin when it was summed.
 */
export interface BlockSums {
  readonly runs: readonly BlockRun[];
  /** Base64 of all sums in order, four bytes each, most significant first. */
  readonly sums: string;
}

/** Neighbours of one size that are cut alike: into blocks of this size, the last of each being what is left. */
export interface BlockRun {
  readonly count: number;
  readonly sizeBytes: number;
  readonly blockBytes: number;
}

/**
 * Blocks of a small content are small, as a reader of a piece reads a whole block; they grow to the usual size with the content, so that its sums stay
 * few, and on from there only where they would become too many. Neighbours are merged, so that the counts are even.
 */
export const FINEST_BLOCK_BYTES = 64 * 1024;
export const BLOCK_BYTES = 1024 ** 2;
const FEW_SUMS = 256;
const MAX_SUMS = 16_384;
/** An upload has up to 10,000 parts. */
export const OF_PART: SummerLimits = { blockBytes: BLOCK_BYTES, fewSums: FEW_SUMS, maxSums: FEW_SUMS };
const SUM_BYTES = 4;

export interface SummedBlocks {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly sums: readonly number[];
}

export interface SummerLimits {
  /** Of the first blocks. */
  readonly blockBytes?: number;
  /** From so many on blocks grow until they have the usual size. */
  readonly fewSums?: number;
  /** And from so many on whatever size they have. */
  readonly maxSums?: number;
}

/** Sums bytes block by block while they pass. */
export class BlockSummer {
  readonly #fewSums: number;
  readonly #maxSums: number;
  #blockBytes: number;
  #sums: number[] = [];
  #open = 0;
  #openBytes = 0;
  #sizeBytes = 0;

  constructor({ blockBytes = FINEST_BLOCK_BYTES, fewSums = FEW_SUMS, maxSums = MAX_SUMS }: SummerLimits = {}) {
    this.#blockBytes = blockBytes;
    this.#fewSums = fewSums;
    this.#maxSums = maxSums;
  }

  update(chunk: Uint8Array): void {
    for (let taken = 0; taken < chunk.byteLength;) {
      const count = Math.min(chunk.byteLength - taken, this.#blockBytes - this.#openBytes);
      this.#open = nextSum(chunk, taken, count, this.#open);
      this.#openBytes += count;
      taken += count;
      this.#sizeBytes += count;
      if (this.#openBytes === this.#blockBytes) this.#close();
    }
  }

  #close(): void {
    this.#sums.push(this.#open);
    this.#open = 0;
    this.#openBytes = 0;
    if (this.#sums.length < (this.#blockBytes < BLOCK_BYTES ? this.#fewSums : this.#maxSums)) return;
    const { blockBytes, sums } = coarser({
      sizeBytes: this.#sizeBytes,
      blockBytes: this.#blockBytes,
      sums: this.#sums,
    });
    this.#blockBytes = blockBytes;
    this.#sums = [...sums];
  }

  /** The last call. */
  finish(): SummedBlocks {
    if (this.#openBytes > 0) {
      this.#sums.push(this.#open);
      this.#openBytes = 0;
    }
    return { sizeBytes: this.#sizeBytes, blockBytes: this.#blockBytes, sums: this.#sums };
  }
}

/** Base64 of the CRC32C of all bytes. */
export function wholeSum({ sizeBytes, blockBytes, sums }: SummedBlocks): string {
  const join = joinerOf("CRC32C", blockBytes);
  let sum = sums[0] ?? 0;
  for (let block = 1; block < sums.length; block++) {
    const size = Math.min(blockBytes, sizeBytes - block * blockBytes);
    sum = (size === blockBytes ? join : joinerOf("CRC32C", size))(sum, sums[block] as number);
  }
  return base64Of([sum]);
}

/** What a version keeps of blocks that follow each other, each in a grid of its own. */
export function joinBlocks(parts: readonly SummedBlocks[]): BlockSums {
  const cut = coarseEnough(parts.filter(({ sizeBytes }) => sizeBytes > 0));
  const runs: { count: number; sizeBytes: number; blockBytes: number }[] = [];
  for (const { sizeBytes, blockBytes } of cut) {
    const last = runs.at(-1);
    if (last?.sizeBytes === sizeBytes && last.blockBytes === blockBytes) last.count += 1;
    else runs.push({ count: 1, sizeBytes, blockBytes });
  }
  return { runs, sums: base64Of(cut.flatMap(({ sums }) => sums)) };
}

/** Every part keeps one sum at least. */
function coarseEnough(parts: readonly SummedBlocks[]): readonly SummedBlocks[] {
  let cut = parts;
  for (;;) {
    const count = cut.reduce((sum, { sums }) => sum + sums.length, 0);
    if (count <= MAX_SUMS || cut.every(({ sums }) => sums.length <= 1)) return cut;
    cut = cut.map((part) => (part.sums.length > 1 ? coarser(part) : part));
  }
}

function coarser({ sizeBytes, blockBytes, sums }: SummedBlocks): SummedBlocks {
  const join = joinerOf("CRC32C", blockBytes);
  const lastBytes = sizeBytes - (sums.length - 1) * blockBytes;
  const merged: number[] = [];
  for (let first = 0; first < sums.length; first += 2) {
    const [one, other] = [sums[first] as number, sums[first + 1]];
    if (other === undefined) merged.push(one);
    else if (first + 2 < sums.length || lastBytes === blockBytes) merged.push(join(one, other));
    else merged.push(joinerOf("CRC32C", lastBytes)(one, other));
  }
  return { sizeBytes, blockBytes: 2 * blockBytes, sums: merged };
}

/** A block of a content: where it lies, and its sum. */
export interface SummedBlock {
  readonly start: number;
  readonly end: number;
  readonly sum: number;
}

/** The blocks that have bytes of a span, in order. */
export function blocksOfSpan(
  { runs, sums }: BlockSums,
  span: { readonly start: number; readonly end: number },
): SummedBlock[] {
  const bytes = Buffer.from(sums, "base64");
  const found: SummedBlock[] = [];
  let offset = 0;
  let index = 0;
  for (const { count, sizeBytes, blockBytes } of runs) {
    const blocksOfPart = Math.ceil(sizeBytes / blockBytes);
    // Parts that end before the span are stepped over without a look.
    const skipped = Math.min(count, Math.max(0, Math.floor((span.start - offset) / sizeBytes)));
    offset += skipped * sizeBytes;
    index += skipped * blocksOfPart;
    for (let part = skipped; part < count && offset < span.end; part++) {
      for (let block = Math.max(0, Math.floor((span.start - offset) / blockBytes)); block < blocksOfPart; block++) {
        const start = offset + block * blockBytes;
        if (start >= span.end) break;
        const sum = bytes.readUInt32BE((index + block) * SUM_BYTES);
        found.push({ start, end: Math.min(start + blockBytes, offset + sizeBytes), sum });
      }
      offset += sizeBytes;
      index += blocksOfPart;
    }
    if (offset >= span.end) break;
  }
  return found;
}

/** Whether there is one sum for each block of so many bytes. */
export function isBlockSums({ runs, sums }: BlockSums, sizeBytes: number): boolean {
  let total = 0;
  let count = 0;
  for (const run of runs) {
    if (run.count < 1 || run.sizeBytes < 1 || run.blockBytes < 1) return false;
    total += run.count * run.sizeBytes;
    count += run.count * Math.ceil(run.sizeBytes / run.blockBytes);
  }
  return total === sizeBytes && Buffer.byteLength(sums, "base64") === count * SUM_BYTES;
}

/** Of these bytes of the chunk, after those that the sum is of. */
export function nextSum(chunk: Uint8Array, start: number, count: number, sum: number): number {
  // The binding takes Buffers only, whatever its types say.
  return crc32c(Buffer.from(chunk.buffer, chunk.byteOffset + start, count), sum) >>> 0;
}

function base64Of(sums: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(sums.length * SUM_BYTES);
  sums.forEach((sum, index) => bytes.writeUInt32BE(sum, index * SUM_BYTES));
  return bytes.toString("base64");
}
