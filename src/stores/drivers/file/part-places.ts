import type { PartMark, UploadDirectory } from "./upload-directory.ts";
import { isInData } from "./upload-directory.ts";

/**
 * Where the parts of an upload go. The first one that arrives tells the stride: parts of that size are written where the object will have them,
 * so that nothing is left to do at the end. A part that does not fit, or replaces one that lies there, gets a file of its own.
 */
export class PartPlaces {
  readonly #strideBytes: number | undefined;
  #found: Promise<number | undefined> | undefined;
  #chosenBytes: number | undefined;
  /** Places in `data` that a part is being written to. */
  readonly #taken = new Set<number>();

  /** With a stride that the upload was begun with. */
  constructor(strideBytes: number | undefined) {
    this.#strideBytes = strideBytes;
  }

  get writersInData(): number {
    return this.#taken.size;
  }

  /** The caller releases a place in `data` once it has written, or failed. */
  async choose(directory: UploadDirectory, partNumber: number, sizeBytes: number): Promise<PartMark["place"]> {
    const before = await directory.findMark(partNumber);
    const stride = await this.#stride(directory, sizeBytes);
    const start = (partNumber - 1) * stride;
    const fits =
      stride > 0 &&
      sizeBytes <= stride &&
      start + sizeBytes <= MAX_OFFSET &&
      !(before !== undefined && isInData(before));
    if (!fits || this.#taken.has(partNumber)) return { file: directory.freshName("piece") };
    this.#taken.add(partNumber);
    return { start, strideBytes: stride };
  }

  release(partNumber: number): void {
    this.#taken.delete(partNumber);
  }

  /** After a restart the parts that lie in `data` tell it. */
  async #stride(directory: UploadDirectory, firstBytes: number): Promise<number> {
    if (this.#strideBytes !== undefined) return this.#strideBytes;
    this.#found ??= strideOf(directory).catch((error: unknown) => {
      // The next part asks again.
      this.#found = undefined;
      throw error;
    });
    const found = await this.#found;
    this.#chosenBytes ??= found ?? firstBytes;
    return this.#chosenBytes;
  }
}

async function strideOf(directory: UploadDirectory): Promise<number | undefined> {
  for (const { place } of await directory.marks()) if ("strideBytes" in place) return place.strideBytes;
  return undefined;
}

/** Well below what file systems take, holes included. */
const MAX_OFFSET = 2 ** 43;
