import type { Inode } from "../../core/ids.ts";

/** A set of inodes at a bit each, as their numbers lie close together: an eighth of a megabyte for a million of them. */
export class InodeSet {
  readonly #blocks = new Map<number, Uint8Array>();

  /** False when it was there. */
  add(inode: Inode): boolean {
    const block = Math.floor(inode / INODES_A_BLOCK);
    let bits = this.#blocks.get(block);
    if (bits === undefined) {
      bits = new Uint8Array(INODES_A_BLOCK / 8);
      this.#blocks.set(block, bits);
    }
    const { index, mask } = placeOf(inode);
    const byte = bits[index] as number;
    bits[index] = byte | mask;
    return (byte & mask) === 0;
  }

  has(inode: Inode): boolean {
    const { index, mask } = placeOf(inode);
    const bits = this.#blocks.get(Math.floor(inode / INODES_A_BLOCK));
    return bits !== undefined && ((bits[index] as number) & mask) !== 0;
  }
}

const INODES_A_BLOCK = 16_384;

function placeOf(inode: Inode): { readonly index: number; readonly mask: number } {
  const bit = inode % INODES_A_BLOCK;
  return { index: Math.floor(bit / 8), mask: 1 << (bit % 8) };
}

/** Says of an id that it was never added, or that it may have been, in a fixed room: for catalogs with more ids than memory has room for. */
export class IdFilter {
  readonly #bits = new Uint8Array(FILTER_BYTES);

  add(id: string): void {
    for (const bit of bitsOf(id)) this.#bits[bit >>> 3] = (this.#bits[bit >>> 3] as number) | (1 << (bit & 7));
  }

  mayHave(id: string): boolean {
    return bitsOf(id).every((bit) => ((this.#bits[bit >>> 3] as number) & (1 << (bit & 7))) !== 0);
  }
}

const FILTER_BYTES = 2 * 1024 ** 2;

/** Two hashes of FNV's kind. */
function bitsOf(id: string): number[] {
  let [one, other] = [2_166_136_261, 5_381];
  for (let index = 0; index < id.length; index++) {
    const unit = id.charCodeAt(index);
    one = Math.imul(one ^ unit, 16_777_619) >>> 0;
    other = (Math.imul(other, 33) + unit) >>> 0;
  }
  return [one % (FILTER_BYTES * 8), other % (FILTER_BYTES * 8)];
}
