import { GfsError } from "../core/errors.ts";
import type { KeyRange, WatchBatch, WatchEvent, WatchOptions } from "./kv.ts";

/** Tells watchers of commits, in commit order, and remembers the newest ones for those who come late. */

/** A commit that is remembered for long becomes old to the collector, and costs many times its bytes. Those of ten commits, however large, are enough for who comes a little late. */
const REMEMBERED_EVENTS = 1_000;
const REMEMBERED_BYTES = 1024 ** 2;
const WAITING_EVENTS = 20_000;

interface Watcher {
  readonly range: KeyRange;
  readonly waiting: WatchBatch[];
  waitingEvents: number;
  failure: GfsError | undefined;
  wake: (() => void) | undefined;
  /** Nothing is kept for it any more. */
  end: () => void;
}

export class WatchHub {
  readonly #watchers = new Set<Watcher>();
  readonly #recent: { readonly batch: WatchBatch; readonly sizeBytes: number }[] = [];
  #recentEvents = 0;
  #recentBytes = 0;
  /** The newest commit that is not remembered. */
  #forgottenRevision: number;
  #closed = false;

  constructor(revision: number) {
    this.#forgottenRevision = revision;
  }

  publish(batch: WatchBatch): void {
    this.#remember(batch);
    for (const watcher of this.#watchers) offer(watcher, batch);
  }

  #remember(batch: WatchBatch): void {
    let sizeBytes = 0;
    for (const { key, value } of batch.events) sizeBytes += key.byteLength + (value?.byteLength ?? 0);
    this.#recent.push({ batch, sizeBytes });
    this.#recentEvents += batch.events.length;
    this.#recentBytes += sizeBytes;
    while (this.#recentEvents > REMEMBERED_EVENTS || this.#recentBytes > REMEMBERED_BYTES) {
      const oldest = this.#recent.shift();
      if (oldest === undefined) return;
      this.#recentEvents -= oldest.batch.events.length;
      this.#recentBytes -= oldest.sizeBytes;
      this.#forgottenRevision = oldest.batch.revision;
    }
  }

  /** Begins at once: what is committed from now on is kept for the watcher, also before it asks for the first batch. */
  watch(range: KeyRange, options: WatchOptions): AsyncIterable<WatchBatch> {
    const watcher = this.#begin(range, options);
    const batches = this.#batchesOf(watcher, options.signal);
    return { [Symbol.asyncIterator]: () => batches };
  }

  #begin(range: KeyRange, { signal, afterRevision }: WatchOptions): Watcher {
    const watcher: Watcher = {
      range,
      waiting: [],
      waitingEvents: 0,
      failure: undefined,
      wake: undefined,
      end: () => {
        this.#watchers.delete(watcher);
        signal.removeEventListener("abort", watcher.end);
        watcher.wake?.();
      },
    };
    if (signal.aborted) return watcher;
    if (afterRevision !== undefined && afterRevision < this.#forgottenRevision) {
      watcher.failure = new GfsError(
        "StaleEpoch",
        `Changes after revision ${afterRevision} are forgotten; read again, then watch from now.`,
      );
      return watcher;
    }
    if (afterRevision !== undefined)
      for (const { batch } of this.#recent) if (batch.revision > afterRevision) offer(watcher, batch);
    this.#watchers.add(watcher);
    signal.addEventListener("abort", watcher.end, { once: true });
    return watcher;
  }

  async *#batchesOf(watcher: Watcher, signal: AbortSignal): AsyncGenerator<WatchBatch> {
    try {
      while (!signal.aborted) {
        if (watcher.failure !== undefined) throw watcher.failure;
        const batch = watcher.waiting.shift();
        if (batch !== undefined) {
          watcher.waitingEvents -= batch.events.length;
          yield batch;
        } else if (this.#closed) return;
        else
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
      }
    } finally {
      watcher.end();
    }
  }

  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.wake?.();
  }
}

function offer(watcher: Watcher, batch: WatchBatch): void {
  if (watcher.failure !== undefined) return;
  const events = batch.events.filter((event) => isWithin(watcher.range, event));
  if (events.length === 0) return;
  if (watcher.waitingEvents + events.length > WAITING_EVENTS) {
    watcher.waiting.length = 0;
    watcher.failure = new GfsError(
      "Overloaded",
      "The watcher is too slow and was cut off; read again, then watch from now.",
    );
  } else {
    watcher.waiting.push({ revision: batch.revision, events });
    watcher.waitingEvents += events.length;
  }
  watcher.wake?.();
}

function isWithin(range: KeyRange, event: WatchEvent): boolean {
  return Buffer.compare(event.key, range.start) >= 0 && Buffer.compare(event.key, range.end) < 0;
}
