import type { Key, KvEntry, RangeQuery, Value } from "../kv.ts";
import type { Snapshot } from "../program.ts";

/** Keys in order, in blocks short enough that an insertion moves little. */
const BLOCK_ENTRIES = 256;

export class SortedTable implements Snapshot {
  #blocks: KvEntry[][] = [[]];
  #size = 0;
  #sizeBytes = 0;

  get size(): number {
    return this.#size;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Another table with the same entries, which are never changed in place. */
  copy(): SortedTable {
    const copy = new SortedTable();
    copy.#blocks = this.#blocks.map((block) => [...block]);
    copy.#size = this.#size;
    copy.#sizeBytes = this.#sizeBytes;
    return copy;
  }

  get(key: Key): Value | undefined {
    const block = this.#blocks[this.#blockOf(key)] as KvEntry[];
    const index = positionIn(block, key);
    const entry = block[index];
    return entry !== undefined && Buffer.compare(entry.key, key) === 0 ? entry.value : undefined;
  }

  set(key: Key, value: Value): void {
    const blockIndex = this.#blockOf(key);
    const block = this.#blocks[blockIndex] as KvEntry[];
    const index = positionIn(block, key);
    const existing = block[index];
    const entry = { key: Uint8Array.prototype.slice.call(key), value: Uint8Array.prototype.slice.call(value) };
    if (existing !== undefined && Buffer.compare(existing.key, key) === 0) {
      this.#sizeBytes += value.byteLength - existing.value.byteLength;
      block[index] = entry;
      return;
    }
    block.splice(index, 0, entry);
    this.#size += 1;
    this.#sizeBytes += key.byteLength + value.byteLength;
    if (block.length > BLOCK_ENTRIES) this.#blocks.splice(blockIndex + 1, 0, block.splice(BLOCK_ENTRIES / 2));
  }

  delete(key: Key): void {
    const blockIndex = this.#blockOf(key);
    const block = this.#blocks[blockIndex] as KvEntry[];
    const index = positionIn(block, key);
    const existing = block[index];
    if (existing === undefined || Buffer.compare(existing.key, key) !== 0) return;
    block.splice(index, 1);
    this.#size -= 1;
    this.#sizeBytes -= existing.key.byteLength + existing.value.byteLength;
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(blockIndex, 1);
  }

  range({ start, end, limit, reverse }: RangeQuery): KvEntry[] {
    return reverse === true ? this.#descend(start, end, limit) : this.#ascend(start, end, limit);
  }

  #ascend(start: Key, end: Key, limit: number): KvEntry[] {
    const found: KvEntry[] = [];
    let blockIndex = this.#blockOf(start);
    let index = positionIn(this.#blocks[blockIndex] as KvEntry[], start);
    while (found.length < limit) {
      const block = this.#blocks[blockIndex];
      if (block === undefined) break;
      const entry = block[index];
      if (entry === undefined) {
        blockIndex += 1;
        index = 0;
        continue;
      }
      if (Buffer.compare(entry.key, end) >= 0) break;
      found.push(entry);
      index += 1;
    }
    return found;
  }

  #descend(start: Key, end: Key, limit: number): KvEntry[] {
    const found: KvEntry[] = [];
    let blockIndex = this.#blockOf(end);
    let index = positionIn(this.#blocks[blockIndex] as KvEntry[], end) - 1;
    while (found.length < limit) {
      const block = this.#blocks[blockIndex];
      if (block === undefined) break;
      if (index < 0) {
        blockIndex -= 1;
        index = (this.#blocks[blockIndex]?.length ?? 0) - 1;
        continue;
      }
      const entry = block[index] as KvEntry;
      if (Buffer.compare(entry.key, start) < 0) break;
      found.push(entry);
      index -= 1;
    }
    return found;
  }

  /** The last block whose first key is not after `key`. */
  #blockOf(key: Key): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const first = (this.#blocks[middle] as KvEntry[])[0] as KvEntry;
      if (Buffer.compare(first.key, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function positionIn(block: readonly KvEntry[], key: Key): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((block[middle] as KvEntry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
