import { byteLengthOfText, textOfBytes, writeText } from "../core/byte-text.ts";
import { GfsError } from "../core/errors.ts";
import type { Moment } from "../core/moment.ts";

/** Rows as bytes: varints and length-prefixed strings. Readers never look past the end, whatever the bytes say. */

const HIGH = 2 ** 32;
const NS_PER_MS = 1_000_000;

const MAX_SCRATCH_BYTES = 65_536;

/** Rows are put together in memory that the next row uses again. */
let scratch: Buffer | undefined;

function takeScratch(): Buffer {
  const taken = scratch ?? Buffer.allocUnsafeSlow(1_024);
  scratch = undefined;
  return taken;
}

export class RowWriter {
  #bytes = takeScratch();
  #length = 0;

  #room(sizeBytes: number): void {
    if (this.#length + sizeBytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + sizeBytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** Integers from 0 to 2^53 - 1. */
  count(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new GfsError("Internal", `A row holds integers from 0 to 2^53 - 1, not ${value}.`);
    }
    this.#room(8);
    let rest = value;
    while (rest >= HIGH) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** Times may lie before 1970. */
  time(valueMs: number): void {
    const whole = Math.round(valueMs);
    this.count(whole < 0 ? -whole * 2 - 1 : whole * 2);
  }

  /** The nanoseconds take a count of their own, where the row says that there are any. */
  moment({ ms, ns }: Moment, withNs: boolean): void {
    this.time(ms);
    if (withNs) this.count(ns);
  }

  text(value: string): void {
    const sizeBytes = byteLengthOfText(value);
    this.count(sizeBytes);
    this.#room(sizeBytes);
    this.#length = writeText(this.#bytes, value, this.#length);
  }

  hex(value: string): void {
    const sizeBytes = value.length / 2;
    this.#room(sizeBytes);
    this.#length += this.#bytes.write(value, this.#length, "hex");
  }

  base64(value: string): void {
    const sizeBytes = Buffer.byteLength(value, "base64");
    this.count(sizeBytes);
    this.#room(sizeBytes);
    this.#length += this.#bytes.write(value, this.#length, "base64");
  }

  finish(): Buffer {
    const row = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(row, 0, 0, this.#length);
    if (this.#bytes.length <= MAX_SCRATCH_BYTES) scratch = this.#bytes;
    return row;
  }
}

export class RowReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw corrupt();
    this.#offset += 1;
    return value;
  }

  count(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const next = this.byte();
      value += (next & 0x7f) * scale;
      if (next < 0x80) break;
      scale *= 128;
      if (scale > 2 ** 49) throw corrupt();
    }
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt();
    return value;
  }

  /** Steps over one integer or time. */
  skipCount(): void {
    while (this.byte() >= 0x80);
  }

  skip(sizeBytes: number): void {
    this.#skip(sizeBytes);
  }

  skipText(): void {
    this.#skip(this.count());
  }

  time(): number {
    const folded = this.count();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  moment(withNs: boolean): Moment {
    const ms = this.time();
    if (!withNs) return { ms, ns: 0 };
    const ns = this.count();
    if (ns >= NS_PER_MS) throw corrupt();
    return { ms, ns };
  }

  text(): string {
    const start = this.#skip(this.count());
    return textOfBytes(this.#bytes, start, this.#offset);
  }

  hex(sizeBytes: number): string {
    const start = this.#skip(sizeBytes);
    return this.#bytes.toString("hex", start, this.#offset);
  }

  base64(): string {
    const start = this.#skip(this.count());
    return this.#bytes.toString("base64", start, this.#offset);
  }

  #skip(sizeBytes: number): number {
    const start = this.#offset;
    if (sizeBytes > this.#bytes.length - start) throw corrupt();
    this.#offset = start + sizeBytes;
    return start;
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) throw corrupt();
  }
}

export function corrupt(): GfsError {
  return new GfsError("DataCorrupt", "A row of the catalog cannot be read; `globalfs meta check` tells more.", {
    op: "namespace.decode",
  });
}
