import { createHash, type Hash } from "node:crypto";
import { GfsError } from "../errors.ts";
import type { Digests, HashName } from "./hash-thread.ts";
import { type Seat, takeSeat } from "./hash-threads.ts";

/**
 * MD5 and SHA-256 of a body while it streams by. A large one is hashed by another thread: MD5 alone takes longer than all else that is done
 * with the bytes, and threads take several bodies at once.
 */
export interface BodyHash {
  /** Copies the bytes if it keeps them; resolves when it can take more. */
  update(chunk: Uint8Array): Promise<void> | void;
  /** Hex digests; the last call. */
  digest(): Promise<Digests> | Digests;
  /** Gives the body up. */
  abandon(): void;
}

export type { Digests, HashName } from "./hash-thread.ts";

/** Below it the way to another thread costs more than it saves. */
const THREADED_FROM_BYTES = 1024 * 1024;

export function createBodyHash(names: readonly HashName[], sizeBytes: number | undefined): BodyHash {
  if (names.length === 0 || sizeBytes === undefined || sizeBytes < THREADED_FROM_BYTES) return new LocalHash(names);
  return ThreadedHash.begin(names) ?? new LocalHash(names);
}

class LocalHash implements BodyHash {
  readonly #hashes: readonly (readonly [HashName, Hash])[];

  constructor(names: readonly HashName[]) {
    this.#hashes = names.map((name) => [name, createHash(name)]);
  }

  update(chunk: Uint8Array): void {
    for (const [, hash] of this.#hashes) hash.update(chunk);
  }

  digest(): Digests {
    return Object.fromEntries(this.#hashes.map(([name, hash]) => [name, hash.digest("hex")]));
  }

  abandon(): void {}
}

class ThreadedHash implements BodyHash {
  #seat: Seat | undefined;
  readonly #free: Uint8Array[] = [];
  #filled = 0;
  #wake: (() => void) | undefined;
  #failure: GfsError | undefined;
  #finish: ((digests: Digests) => void) | undefined;
  #reject: ((error: GfsError) => void) | undefined;

  static begin(names: readonly HashName[]): ThreadedHash | undefined {
    const hash = new ThreadedHash();
    hash.#seat = takeSeat(
      {
        onFree: (slot) => {
          hash.#free.push(slot);
          hash.#wakeUp();
        },
        onDigests: (digests) => hash.#finish?.(digests),
        onFailure: (cause) => {
          hash.#fail(new GfsError("Internal", "The thread that hashes bodies has ended.", { op: "hash", cause }));
        },
      },
      names,
    );
    if (hash.#seat === undefined) return undefined;
    hash.#free.push(...hash.#seat.slots);
    return hash;
  }

  update(chunk: Uint8Array): Promise<void> | void {
    const taken = this.#fill(chunk, 0);
    if (taken < chunk.byteLength) return this.#fillSlowly(chunk, taken);
  }

  /** As far as there is room; says how much of the chunk is taken. */
  #fill(chunk: Uint8Array, from: number): number {
    let taken = from;
    while (taken < chunk.byteLength) {
      const slot = this.#free[0];
      if (slot === undefined) return taken;
      const count = Math.min(chunk.byteLength - taken, slot.byteLength - this.#filled);
      slot.set(chunk.subarray(taken, taken + count), this.#filled);
      this.#filled += count;
      taken += count;
      if (this.#filled === slot.byteLength) this.#give();
    }
    return taken;
  }

  async #fillSlowly(chunk: Uint8Array, from: number): Promise<void> {
    for (let taken = from; taken < chunk.byteLength; taken = this.#fill(chunk, taken)) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#free.length > 0) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #give(): void {
    const slot = this.#free.shift();
    if (slot !== undefined) this.#seat?.give(slot, this.#filled);
    this.#filled = 0;
  }

  async digest(): Promise<Digests> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#filled > 0) this.#give();
    return await new Promise<Digests>((resolve, reject) => {
      this.#finish = resolve;
      this.#reject = reject;
      this.#seat?.digest();
    });
  }

  #fail(failure: GfsError): void {
    this.#failure = failure;
    this.#seat = undefined;
    this.#reject?.(failure);
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  abandon(): void {
    this.#seat?.leave();
    this.#fail(new GfsError("Internal", "The body was given up before its end.", { op: "hash" }));
  }
}
