/**
 * How large the pieces may be in which streams move their bytes: large ones while few streams run, smaller ones when many do, so that all of them
 * together stay within a budget.
 */
export class PieceShare {
  readonly #totalBytes: number;
  readonly #leastBytes: number;
  readonly #mostBytes: number;
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
}
