import { BLOCK_BYTES, blocksOfSpan, nextSum } from "../../core/block-sums.ts";
import { createQuickProof } from "../../mover/index.ts";
import { blocksOf, type FileVersion } from "../../namespace/index.ts";
import type { Span } from "../../stores/index.ts";

/** What a read is held against while it streams: block by block where their sums are known, else as a whole. */
export interface SpanProof {
  /** Everything before it was found right, or can't be told. */
  readonly provenEnd: number;
  /** Takes the bytes that follow. False when some of them are wrong; only `restart` helps then. */
  update(chunk: Uint8Array): boolean;
  /** What follows begins at `provenEnd` again. */
  restart(): void;
}

export interface ProvenRead {
  /** What has to be read for the span to be proven. */
  readonly cover: Span;
  /** Undefined where no checksum tells. */
  readonly proof: SpanProof | undefined;
}

/** A read of less than a block brings all of it; of blocks that are larger than these only whole ones are held against their sums. */
const MAX_EXTENDED_BYTES = 8 * BLOCK_BYTES;

export function proveRead(version: FileVersion, span: Span): ProvenRead {
  const { sizeBytes } = version;
  const blocks = blocksOf(version);
  if (blocks !== undefined) {
    const pieces = blocksOfSpan(blocks, span).map((block) =>
      isExtended(block)
        ? block
        : {
            ...block,
            start: Math.max(block.start, span.start),
            end: Math.min(block.end, span.end),
            ...(isWithin(block, span) ? {} : { sum: undefined }),
          },
    );
    const cover = { start: pieces[0]?.start ?? span.start, end: pieces.at(-1)?.end ?? span.end };
    return { cover, proof: new BlockProof(pieces) };
  }
  const whole = { start: 0, end: sizeBytes };
  if (!isWithin(whole, span) && sizeBytes > BLOCK_BYTES) return { cover: span, proof: undefined };
  const first = createQuickProof(version);
  return first === undefined
    ? { cover: span, proof: undefined }
    : { cover: whole, proof: new WholeProof(version, first) };
}

function isExtended({ start, end }: Span): boolean {
  return end - start <= MAX_EXTENDED_BYTES;
}

function isWithin(inner: Span, outer: Span): boolean {
  return inner.start >= outer.start && inner.end <= outer.end;
}

interface Piece extends Span {
  /** Undefined for a part of a block. */
  readonly sum: number | undefined;
}

class BlockProof implements SpanProof {
  readonly #pieces: readonly Piece[];
  #piece = 0;
  #seen = 0;
  #sum = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  get provenEnd(): number {
    const piece = this.#pieces[this.#piece];
    if (piece === undefined) return this.#pieces.at(-1)?.end ?? 0;
    return piece.sum === undefined ? piece.start + this.#seen : piece.start;
  }

  update(chunk: Uint8Array): boolean {
    for (let taken = 0; taken < chunk.byteLength;) {
      const piece = this.#pieces[this.#piece];
      if (piece === undefined) return false;
      const count = Math.min(chunk.byteLength - taken, piece.end - piece.start - this.#seen);
      if (piece.sum !== undefined) this.#sum = nextSum(chunk, taken, count, this.#sum);
      this.#seen += count;
      taken += count;
      if (this.#seen < piece.end - piece.start) return true;
      if (piece.sum !== undefined && this.#sum !== piece.sum) return false;
      this.#piece += 1;
      this.#begin();
    }
    return true;
  }

  restart(): void {
    // What cannot be told goes on where it is.
    if (this.#pieces[this.#piece]?.sum !== undefined) this.#begin();
  }

  #begin(): void {
    this.#seen = 0;
    this.#sum = 0;
  }
}

class WholeProof implements SpanProof {
  readonly #version: FileVersion;
  #proof: ReturnType<typeof createQuickProof>;
  #seen = 0;
  provenEnd = 0;

  constructor(version: FileVersion, proof: ReturnType<typeof createQuickProof>) {
    this.#version = version;
    this.#proof = proof;
  }

  update(chunk: Uint8Array): boolean {
    this.#proof?.update(chunk);
    this.#seen += chunk.byteLength;
    if (this.#seen < this.#version.sizeBytes) return true;
    if (this.#seen > this.#version.sizeBytes || this.#proof?.holds() === false) return false;
    this.provenEnd = this.#seen;
    return true;
  }

  restart(): void {
    this.#proof = createQuickProof(this.#version);
    this.#seen = 0;
  }
}
