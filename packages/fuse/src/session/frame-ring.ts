/**
 * How frames get from a worker to the main thread: slots of shared memory that the kernel's requests are read into directly, and the order in
 * which they were filled. The worker waits when no slot is free, which leaves further requests with the kernel.
 */
const AWAKE = 0;
const HEAD = 1;
const TAIL = 2;
const FREED = 3;
const CLOSED = 4;
const FIELDS = 5;

const FREE = 0;
const TAKEN = 1;

export interface FrameRingMemory {
  readonly control: SharedArrayBuffer;
  readonly frames: SharedArrayBuffer;
  readonly slots: number;
  readonly slotBytes: number;
}

export function allocateFrameRing(slots: number, slotBytes: number): FrameRingMemory {
  const control = new SharedArrayBuffer((FIELDS + slots * 3) * Int32Array.BYTES_PER_ELEMENT);
  return { control, frames: new SharedArrayBuffer(slots * slotBytes), slots, slotBytes };
}

/** Both ends see the same memory. One worker writes, the main thread reads. */
export class FrameRing {
  readonly #control: Int32Array;
  readonly #slots: number;
  readonly #buffers: readonly Buffer[];

  constructor(memory: FrameRingMemory) {
    this.#control = new Int32Array(memory.control);
    this.#slots = memory.slots;
    this.#buffers = Array.from({ length: memory.slots }, (_, slot) =>
      Buffer.from(memory.frames, slot * memory.slotBytes, memory.slotBytes),
    );
  }

  get slots(): number {
    return this.#slots;
  }

  buffer(slot: number): Buffer {
    return this.#buffers[slot] as Buffer;
  }

  /** In the worker: a free slot, the lowest one so that little memory is touched. -1 when the ring has been closed. */
  acquire(): number {
    const control = this.#control;
    for (;;) {
      const freed = Atomics.load(control, FREED);
      if (Atomics.load(control, CLOSED) === 1) return -1;
      for (let slot = 0; slot < this.#slots; slot += 1) {
        if (Atomics.load(control, FIELDS + slot) === FREE) return slot;
      }
      Atomics.wait(control, FREED, freed);
    }
  }

  /** In the worker: hands a filled slot over. True if the main thread has to be woken. */
  push(slot: number, lengthBytes: number): boolean {
    const control = this.#control;
    const head = Atomics.load(control, HEAD);
    Atomics.store(control, FIELDS + slot, TAKEN);
    Atomics.store(control, FIELDS + this.#slots + slot, lengthBytes);
    Atomics.store(control, FIELDS + 2 * this.#slots + (head % this.#slots), slot);
    // Head and tail count to twice the number of slots, so that a full ring does not look like an empty one.
    Atomics.store(control, HEAD, (head + 1) % (this.#slots * 2));
    return Atomics.exchange(control, AWAKE, 1) === 0;
  }

  /** In the main thread: the slot that was filled first, or -1. */
  shift(): number {
    const control = this.#control;
    const tail = Atomics.load(control, TAIL);
    if (tail === Atomics.load(control, HEAD)) return -1;
    const slot = Atomics.load(control, FIELDS + 2 * this.#slots + (tail % this.#slots));
    Atomics.store(control, TAIL, (tail + 1) % (this.#slots * 2));
    return slot;
  }

  lengthBytes(slot: number): number {
    return Atomics.load(this.#control, FIELDS + this.#slots + slot);
  }

  release(slot: number): void {
    Atomics.store(this.#control, FIELDS + slot, FREE);
    this.#signal();
  }

  /** In the main thread: goes to sleep. False if something came in meanwhile, and `shift` has to go on. */
  sleep(): boolean {
    const control = this.#control;
    Atomics.store(control, AWAKE, 0);
    if (Atomics.load(control, TAIL) === Atomics.load(control, HEAD)) return true;
    return Atomics.exchange(control, AWAKE, 1) === 1;
  }

  close(): void {
    Atomics.store(this.#control, CLOSED, 1);
    this.#signal();
  }

  #signal(): void {
    Atomics.add(this.#control, FREED, 1);
    Atomics.notify(this.#control, FREED);
  }
}
