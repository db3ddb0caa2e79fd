/**
 * How large the pieces may be in which streams move their bytes: large ones while few streams run, smaller ones when many do, so that all of them
 * together stay within a budget. Pieces that are given back are used again: memory that is new for every piece has to be cleared by the system
 * first, and stays until it is collected.
 */
export class PieceShare {
  readonly #totalBytes: number;
  readonly #leastBytes: number;
  readonly #mostBytes: number;
  readonly #spare: Buffer[] = [];
  #spareBytes = 0;
  #streams = 0;

  constructor(options: { readonly totalBytes: number; readonly leastBytes: number; readonly mostBytes: number }) {
    this.#totalBytes = options.totalBytes;
    this.#leastBytes = options.leastBytes;
    this.#mostBytes = options.mostBytes;
  }

  /** A power of two. */
  get pieceBytes(): number {
    let bytes = this.#mostBytes;
    while (bytes > this.#leastBytes && bytes * this.#streams > this.#totalBytes) bytes /= 2;
    return bytes;
  }

  /** Counts a stream; the returned function takes it off, once. */
  enter(): () => void {
    this.#streams += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#streams -= 1;
    };
  }

  /** A piece of `sizeBytes`, with whatever bytes in it. Whoever has it last may give it back, and need not. */
  lend(sizeBytes: number): Buffer {
    // The ends of streams have any size, and would hardly be asked for again.
    if (sizeBytes < this.#leastBytes || this.#mostBytes % sizeBytes !== 0) return Buffer.allocUnsafeSlow(sizeBytes);
    const at = this.#spare.findLastIndex((each) => each.length === sizeBytes);
    const [found] = at === -1 ? [] : this.#spare.splice(at, 1);
    if (found !== undefined) this.#spareBytes -= sizeBytes;
    const piece = found ?? Buffer.allocUnsafeSlow(sizeBytes);
    lenders.set(piece, this);
    return piece;
  }

  /** Of what is spare, the oldest goes when there is too much, so that sizes which nobody asks for any more do not stay. */
  keep(piece: Buffer): void {
    this.#spare.push(piece);
    this.#spareBytes += piece.length;
    while (this.#spareBytes > this.#totalBytes) this.#spareBytes -= this.#spare.shift()?.length ?? 0;
  }
}

const lenders = new WeakMap<Uint8Array, PieceShare>();

/**
 * For whoever takes chunks off a stream as the last one and has done with this one: its memory may be written over from now on. Chunks that
 * were never lent, parts of them, and those that were given back before are left alone.
 */
export function giveBack(chunk: Uint8Array): void {
  const lender = lenders.get(chunk);
  if (lender === undefined) return;
  lenders.delete(chunk);
  lender.keep(chunk as Buffer);
}
