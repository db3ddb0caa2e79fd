/**
 * A long document, put together as bytes. As one string it would first be a tree of all its pieces, which costs twice as much to make and to
 * walk as these writes do.
 */
export class TextBytes {
  #bytes: Buffer;
  #length = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes);
  }

  add(text: string): void {
    const mostBytes = text.length * MOST_BYTES_A_UNIT;
    if (this.#length + mostBytes > this.#bytes.length) this.#grow(mostBytes);
    this.#length += this.#bytes.write(text, this.#length, "utf8");
  }

  #grow(byBytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + byBytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** Nothing may be added afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** UTF-8 has at most so many bytes for a unit of a string. */
const MOST_BYTES_A_UNIT = 3;
