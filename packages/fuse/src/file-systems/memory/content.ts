const BLOCK_BYTES = 65_536;
const SMALLEST_BYTES = 512;

/** How much memory all files together may take. */
export class Budget {
  readonly capacityBytes: number;
  usedBytes = 0;

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes;
  }

  /** Takes so much, or nothing and says false. */
  take(sizeBytes: number): boolean {
    if (this.usedBytes + sizeBytes > this.capacityBytes) return false;
    this.usedBytes += sizeBytes;
    return true;
  }

  give(sizeBytes: number): void {
    this.usedBytes -= sizeBytes;
  }
}

/**
 * The bytes of a file, in blocks of 64 KiB; where there is no block, there is a hole. A block may be shorter than that when only zeros
 * follow. What a block holds behind the end of the file is zero, so a file can grow without being cleared.
 */
export class SparseContent {
  sizeBytes = 0;
  allocatedBytes = 0;
  readonly #blocks = new Map<number, Buffer>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Fills `into` from its start, and returns how much there was. */
  read(into: Buffer, offset: number): number {
    const end = Math.min(offset + into.length, this.sizeBytes);
    let at = offset;
    while (at < end) {
      const index = Math.floor(at / BLOCK_BYTES);
      const within = at - index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - within, end - at);
      const block = this.#blocks.get(index);
      const copied =
        block === undefined || within >= block.length ? 0 : block.copy(into, at - offset, within, within + length);
      if (copied < length) into.fill(0, at - offset + copied, at - offset + length);
      at += length;
    }
    return Math.max(end - offset, 0);
  }

  /** Writes as much as there is room for, and returns how much that was. */
  write(data: Buffer, offset: number): number {
    let done = 0;
    while (done < data.length) {
      const at = offset + done;
      const index = Math.floor(at / BLOCK_BYTES);
      const within = at - index * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - within, data.length - done);
      const block = this.#blockOf(index, within + length);
      if (block === undefined) break;
      data.copy(block, within, done, done + length);
      done += length;
    }
    if (done > 0) this.sizeBytes = Math.max(this.sizeBytes, offset + done);
    return done;
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes || this.allocatedBytes > 0) {
      const last = Math.floor(sizeBytes / BLOCK_BYTES);
      const within = sizeBytes - last * BLOCK_BYTES;
      for (const index of this.#blocks.keys()) {
        if (index > last || (index === last && within === 0)) this.#drop(index);
      }
      this.#blocks.get(last)?.fill(0, within);
    }
    this.sizeBytes = sizeBytes;
  }

  /** Makes sure that later writes to this range find room. False if there is none, with what was there before unchanged. */
  allocate(offset: number, lengthBytes: number): boolean {
    const end = offset + lengthBytes;
    const first = Math.floor(offset / BLOCK_BYTES);
    const last = Math.floor((end - 1) / BLOCK_BYTES);
    // Asked beforehand, so that a range that cannot be had costs neither time nor memory.
    if ((last - first + 1) * BLOCK_BYTES > this.#budget.capacityBytes - this.#budget.usedBytes + this.allocatedBytes) {
      return false;
    }
    for (let index = first; index <= last; index += 1) {
      if (this.#blockOf(index, BLOCK_BYTES) === undefined) return false;
    }
    return true;
  }

  /** Makes a hole of all whole blocks in the range, and clears the rest of it. */
  punch(offset: number, lengthBytes: number): void {
    for (const index of this.#blocks.keys()) {
      const start = index * BLOCK_BYTES;
      if (offset <= start && offset + lengthBytes >= start + BLOCK_BYTES) this.#drop(index);
    }
    this.clear(offset, lengthBytes);
  }

  /** Sets the range to zero, and keeps the memory behind it. */
  clear(offset: number, lengthBytes: number): void {
    const end = offset + lengthBytes;
    for (const [index, block] of this.#blocks) {
      const start = index * BLOCK_BYTES;
      if (start < end && start + block.length > offset) {
        block.fill(0, Math.max(offset - start, 0), Math.min(end - start, block.length));
      }
    }
  }

  /** The first offset from here on that is not in a hole, or undefined. */
  nextData(offset: number): number | undefined {
    if (offset >= this.sizeBytes) return undefined;
    const wanted = Math.floor(offset / BLOCK_BYTES);
    if (this.#blocks.has(wanted)) return offset;
    let nearest = Number.POSITIVE_INFINITY;
    for (const index of this.#blocks.keys()) if (index > wanted && index < nearest) nearest = index;
    const found = nearest * BLOCK_BYTES;
    return found < this.sizeBytes ? found : undefined;
  }

  /** The first offset from here on that is in a hole; the end of the file counts as one. Undefined behind the end. */
  nextHole(offset: number): number | undefined {
    if (offset >= this.sizeBytes) return undefined;
    let index = Math.floor(offset / BLOCK_BYTES);
    if (!this.#blocks.has(index)) return offset;
    while (this.#blocks.has(index)) index += 1;
    return Math.min(index * BLOCK_BYTES, this.sizeBytes);
  }

  #blockOf(index: number, neededBytes: number): Buffer | undefined {
    const block = this.#blocks.get(index);
    if (block !== undefined && block.length >= neededBytes) return block;
    let lengthBytes = Math.max(block?.length ?? 0, SMALLEST_BYTES);
    while (lengthBytes < neededBytes) lengthBytes *= 2;
    const added = lengthBytes - (block?.length ?? 0);
    if (!this.#budget.take(added)) return undefined;
    const larger = Buffer.alloc(lengthBytes);
    block?.copy(larger);
    this.#blocks.set(index, larger);
    this.allocatedBytes += added;
    return larger;
  }

  #drop(index: number): void {
    const lengthBytes = this.#blocks.get(index)?.length ?? 0;
    this.#blocks.delete(index);
    this.allocatedBytes -= lengthBytes;
    this.#budget.give(lengthBytes);
  }
}
