import { GfsError } from "../../core/errors.ts";
import type { PartBody } from "../../stores/index.ts";

/** What may lie between the source and one reader: enough that neither waits for each chunk of the other. */
const MAX_AHEAD_BYTES = 256 * 1024;

/**
 * One body for several readers, as fast as the slowest of them takes it. Nothing is kept, so each reader gets it once; a reader that has
 * gone is not waited for.
 */
export class BodyTee {
  readonly #sizeBytes: number;
  readonly #branches: Branch[] = [];
  #failure: GfsError | undefined;
  #roomMade: (() => void) | undefined;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** Every branch must be there before the first chunk. */
  branch(): PartBody {
    const branch = new Branch(() => this.#roomMade?.());
    this.#branches.push(branch);
    return { sizeBytes: this.#sizeBytes, open: () => branch.open() };
  }

  /** Resolves once every reader has room again; the chunk must stay as it is. */
  async push(chunk: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    for (const branch of this.#branches) branch.push(chunk);
    while (this.#branches.some((branch) => branch.aheadBytes > MAX_AHEAD_BYTES)) {
      await new Promise<void>((resolve) => {
        this.#roomMade = resolve;
      });
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  end(): void {
    for (const branch of this.#branches) branch.end();
  }

  /** Readers get this instead of the rest, and so does whoever pushes. */
  fail(failure: GfsError): void {
    this.#failure ??= failure;
    for (const branch of this.#branches) branch.fail(failure);
    this.#roomMade?.();
  }
}

class Branch {
  readonly #onTaken: () => void;
  readonly #chunks: Uint8Array[] = [];
  #aheadBytes = 0;
  #state: "waiting" | "open" | "gone" = "waiting";
  #ended = false;
  #failure: GfsError | undefined;
  #wake: (() => void) | undefined;

  constructor(onTaken: () => void) {
    this.#onTaken = onTaken;
  }

  get aheadBytes(): number {
    return this.#aheadBytes;
  }

  push(chunk: Uint8Array): void {
    if (this.#state === "gone") return;
    this.#chunks.push(chunk);
    this.#aheadBytes += chunk.byteLength;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(failure: GfsError): void {
    this.#failure ??= failure;
    this.#leave();
    this.#wake?.();
  }

  open(): AsyncIterable<Uint8Array> {
    if (this.#state !== "waiting") {
      throw new GfsError("IncompleteBody", "The body came from a client and cannot be read once more; send it again.", {
        op: "coordinator.part",
      });
    }
    this.#state = "open";
    return this.#read();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#aheadBytes -= chunk.byteLength;
          this.#onTaken();
          yield chunk;
          continue;
        }
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    this.#state = "gone";
    this.#chunks.length = 0;
    this.#aheadBytes = 0;
    this.#onTaken();
  }
}
