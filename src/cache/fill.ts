import type { Ctx } from "../core/context.ts";
import { GfsError, toGfsError } from "../core/errors.ts";

/** What a fetch brings: bytes from `start` on, and where they come from. */
export interface FetchedRange {
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
  readonly source: string;
}

export interface FillRequest {
  readonly firstBlock: number;
  readonly blocks: number;
  readonly blockBytes: number;
  /** Of the object. */
  readonly sizeBytes: number;
  readonly fetch: (ctx: Ctx, start: number, end: number) => Promise<FetchedRange>;
  readonly onBlock: (block: number, bytes: Buffer) => void;
  readonly onEnd: () => void;
  /** The fetch has ended and nobody reads from it any more: its blocks are no longer in memory on its account. */
  readonly onReleased: () => void;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One fetch of a run of blocks, shared by whoever needs one of them. It goes on while somebody waits, and is aborted when the last one has left.
 * A failure reaches all who wait and is not remembered.
 */
export class Fill {
  readonly #request: FillRequest;
  readonly #controller = new AbortController();
  readonly #source = deferred<string>();
  readonly #blocks: readonly Deferred<Buffer>[];
  #waiters = 0;
  #missing: number;
  #ended = false;
  #released = false;

  constructor(ctx: Ctx, request: FillRequest) {
    this.#request = request;
    this.#blocks = Array.from({ length: request.blocks }, () => deferred<Buffer>());
    this.#missing = request.blocks;
    // The first asker may leave while others stay, so neither its signal nor its deadline ends the fetch.
    const { deadlineMs: _, ...rest } = ctx;
    void this.#run({ ...rest, signal: this.#controller.signal });
  }

  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Whether the fetch brings this block, or brought it. */
  covers(block: number): boolean {
    return this.#blocks[block - this.#request.firstBlock] !== undefined;
  }

  /** Counts a waiter; the returned function takes it off. */
  join(): () => void {
    this.#waiters += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#waiters -= 1;
      // With every block here, what is left is the end of the stream, and a connection that can be used again.
      if (this.#waiters === 0 && this.#missing > 0)
        this.#controller.abort(new GfsError("Canceled", "Nobody waits for these bytes any more."));
      this.#release();
    };
  }

  #release(): void {
    if (!this.#ended || this.#waiters > 0 || this.#released) return;
    this.#released = true;
    this.#request.onReleased();
  }

  async source(signal: AbortSignal): Promise<string> {
    return await untilAborted(this.#source.promise, signal);
  }

  async block(block: number, signal: AbortSignal): Promise<Buffer> {
    const found = this.#blocks[block - this.#request.firstBlock];
    if (found === undefined) throw new GfsError("Internal", "A block was asked of a fetch that does not bring it.");
    return await untilAborted(found.promise, signal);
  }

  async #run(ctx: Ctx): Promise<void> {
    const { firstBlock, blocks, blockBytes, sizeBytes, fetch } = this.#request;
    const start = firstBlock * blockBytes;
    const end = Math.min(sizeBytes, (firstBlock + blocks) * blockBytes);
    try {
      const fetched = await fetch(ctx, start, end);
      this.#source.resolve(fetched.source);
      if (ctx.signal.aborted) fetched.cancel();
      ctx.signal.addEventListener("abort", () => fetched.cancel(), { once: true });
      await this.#take(ctx, fetched, start, end);
    } catch (error) {
      const failure = toGfsError(error, "cache.fill");
      this.#source.reject(failure);
      for (const block of this.#blocks) block.reject(failure);
      this.#missing = 0;
    } finally {
      this.#request.onEnd();
      this.#ended = true;
      this.#release();
    }
  }

  async #take(ctx: Ctx, fetched: FetchedRange, start: number, end: number): Promise<void> {
    const { blockBytes } = this.#request;
    let position = start;
    let block = Buffer.allocUnsafeSlow(Math.min(blockBytes, end - position));
    let filled = 0;
    for await (const chunk of fetched.stream) {
      for (let taken = 0; taken < chunk.byteLength;) {
        const count = Math.min(chunk.byteLength - taken, block.length - filled);
        if (count === 0) throw new GfsError("DataCorrupt", "A site gave more bytes than were asked for.");
        block.set(chunk.subarray(taken, taken + count), filled);
        taken += count;
        filled += count;
        if (filled < block.length) continue;
        this.#deliver(Math.floor(position / blockBytes), block);
        position += filled;
        filled = 0;
        block = Buffer.allocUnsafeSlow(Math.min(blockBytes, end - position));
      }
      if (ctx.signal.aborted) throw ctx.signal.reason;
    }
    if (position !== end) throw new GfsError("Unavailable", "A site ended the object early.");
  }

  #deliver(block: number, bytes: Buffer): void {
    this.#missing -= 1;
    this.#request.onBlock(block, bytes);
    this.#blocks[block - this.#request.firstBlock]?.resolve(bytes);
  }
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Nobody may be waiting for this very block.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new GfsError("Canceled", "The read was canceled.", { cause: signal.reason });
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new GfsError("Canceled", "The read was canceled.", { cause: signal.reason }));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}
