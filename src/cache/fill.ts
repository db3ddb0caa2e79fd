import type { Ctx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";

/** What a fetch brings, and where it comes from. The stream ends in peace only when the bytes are those of the version. */
export interface FetchedRange {
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
  readonly source: string;
}

export interface FillRequest {
  readonly blockBytes: number;
  /** Of the object. */
  readonly sizeBytes: number;
  /** The whole object. */
  readonly fetch: (ctx: Ctx) => Promise<FetchedRange>;
  /** It goes on when nobody waits any more. */
  readonly lingers: boolean;
  /** All blocks are here, and the whole was found right. Until then nobody but those who wait sees one. */
  readonly onVerified: (blocks: readonly Buffer[]) => void;
  /** Whatever came of it: nothing more is in memory on its account. */
  readonly onEnd: () => void;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes that turn out wrong while nobody has seen a block are asked for once more. */
const MAX_ATTEMPTS = 2;

/**
 * One fetch of a whole object, shared by whoever needs some of it. It goes on while somebody waits, and is aborted when the last one has left.
 * A failure reaches all who wait and is not remembered.
 */
export class Fill {
  readonly #request: FillRequest;
  readonly #controller = new AbortController();
  readonly #source = deferred<string>();
  readonly #blocks: readonly Deferred<Buffer>[];
  readonly #delivered: Buffer[] = [];
  #waiters = 0;
  #verified = false;

  constructor(ctx: Ctx, request: FillRequest) {
    this.#request = request;
    const count = Math.ceil(request.sizeBytes / request.blockBytes);
    this.#blocks = Array.from({ length: count }, () => deferred<Buffer>());
    // The first asker may leave while others stay, so neither its signal nor its deadline ends the fetch.
    const { deadlineMs: _, ...rest } = ctx;
    void this.#run({ ...rest, signal: this.#controller.signal });
  }

  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Its blocks are where everybody finds them. */
  get verified(): boolean {
    return this.#verified;
  }

  /** How many blocks have come; they come in order. */
  get deliveredBlocks(): number {
    return this.#delivered.length;
  }

  /** Counts a waiter; the returned function takes it off, and is called once. */
  join(): () => void {
    this.#waiters += 1;
    return () => {
      this.#waiters -= 1;
      // With every block here, what is left is the end of the stream, and a connection that can be used again.
      const missing = this.#delivered.length < this.#blocks.length;
      if (this.#waiters === 0 && missing && !this.#request.lingers)
        this.#controller.abort(new GfsError("Canceled", "Nobody waits for these bytes any more."));
    };
  }

  async source(signal: AbortSignal): Promise<string> {
    return await untilAborted(this.#source.promise, signal);
  }

  async block(block: number, signal: AbortSignal): Promise<Buffer> {
    const found = this.#blocks[block];
    if (found === undefined) throw new GfsError("Internal", "A block was asked of a fetch that does not bring it.");
    return await untilAborted(found.promise, signal);
  }

  async #run(ctx: Ctx): Promise<void> {
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#fetch(ctx);
          break;
        } catch (error) {
          const again = isGfsError(error, "DataCorrupt") && this.#delivered.length === 0 && attempt < MAX_ATTEMPTS;
          if (!again) throw error;
        }
      }
      this.#verified = true;
      this.#request.onVerified(this.#delivered);
    } catch (error) {
      const failure = toGfsError(error, "cache.fill");
      this.#source.reject(failure);
      for (const block of this.#blocks) block.reject(failure);
    } finally {
      this.#request.onEnd();
    }
  }

  async #fetch(ctx: Ctx): Promise<void> {
    const fetched = await this.#request.fetch(ctx);
    const cancel = (): void => fetched.cancel();
    if (ctx.signal.aborted) cancel();
    ctx.signal.addEventListener("abort", cancel, { once: true });
    try {
      this.#source.resolve(fetched.source);
      await this.#take(ctx, fetched);
    } finally {
      ctx.signal.removeEventListener("abort", cancel);
    }
  }

  async #take(ctx: Ctx, fetched: FetchedRange): Promise<void> {
    const { blockBytes, sizeBytes } = this.#request;
    let position = 0;
    let block = Buffer.allocUnsafeSlow(Math.min(blockBytes, sizeBytes));
    let filled = 0;
    for await (const chunk of fetched.stream) {
      for (let taken = 0; taken < chunk.byteLength;) {
        const count = Math.min(chunk.byteLength - taken, block.length - filled);
        if (count === 0) throw new GfsError("DataCorrupt", "A site gave more bytes than were asked for.");
        block.set(chunk.subarray(taken, taken + count), filled);
        taken += count;
        filled += count;
        if (filled < block.length) continue;
        this.#deliver(block);
        position += filled;
        filled = 0;
        block = Buffer.allocUnsafeSlow(Math.min(blockBytes, sizeBytes - position));
      }
      if (ctx.signal.aborted) throw ctx.signal.reason;
    }
    if (position !== sizeBytes) throw new GfsError("Unavailable", "A site ended the object early.");
  }

  #deliver(bytes: Buffer): void {
    this.#blocks[this.#delivered.length]?.resolve(bytes);
    this.#delivered.push(bytes);
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
