import type { DiskFile } from "../../../core/ports/disk.ts";

/** Small enough that many parts may arrive at once, large enough that the disk is not called for each chunk. */
const PIECE_BYTES = 256 * 1024;

/** Gathers chunks into pieces; one is on its way to the disk while the next fills, so that two at most are in memory. */
export class SequentialWriter {
  readonly #file: DiskFile;
  #position: number;
  #piece: Buffer;
  #spare: Buffer | undefined;
  #filled = 0;
  #writing: Promise<void> | undefined;

  constructor(file: DiskFile, start: number, expectedBytes: number) {
    this.#file = file;
    this.#position = start;
    this.#piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, Math.max(1, expectedBytes)));
  }

  /** The chunk may be reused afterwards. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let taken = 0; taken < chunk.byteLength;) {
      const count = Math.min(chunk.byteLength - taken, this.#piece.length - this.#filled);
      this.#piece.set(chunk.subarray(taken, taken + count), this.#filled);
      this.#filled += count;
      taken += count;
      if (this.#filled === this.#piece.length) await this.#hand();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#hand();
    await this.settle();
  }

  /** Resolves once nothing is on its way any more; also before the file is closed after a failure. */
  async settle(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    await writing;
  }

  async #hand(): Promise<void> {
    await this.settle();
    const full = this.#piece;
    const writing = this.#file.write([full.subarray(0, this.#filled)], this.#position);
    // Whoever waits next sees the failure; until then it must not count as unhandled.
    writing.catch(() => undefined);
    this.#writing = writing;
    this.#position += this.#filled;
    this.#filled = 0;
    this.#piece = this.#spare ?? Buffer.allocUnsafeSlow(full.length);
    this.#spare = full;
  }
}
