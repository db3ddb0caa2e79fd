import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import {
  type Digests,
  type FromThread,
  hashInThread,
  type HashName,
  type ThreadData,
  type ToThread,
} from "./hash-thread.ts";
import { buildMd5Module, MD5_START } from "./md5-module.ts";

/** Threads that hash bodies, their memory, and who sits where. */

const SLOT_BYTES = 128 * 1024;
const SLOTS_OF_A_SEAT = 2;
const SEATS = 64;
/** As many as MD5 has lanes: up to here one thread serves them with less work than two would. */
const FULL_LANES = 8;
const MOST_THREADS = 4;
const PAGE_BYTES = 64 * 1024;

/** What a seat tells the body that has it. */
export interface Sitter {
  onFree(slot: Uint8Array): void;
  onDigests(digests: Digests): void;
  onFailure(cause: Error | undefined): void;
}

export interface Seat {
  readonly slots: readonly Uint8Array[];
  /** Only the last one may be filled to another length than a multiple of 64. */
  give(slot: Uint8Array, length: number): void;
  /** The sitter hears no more of slots, and of digests once. */
  digest(): void;
  /** The sitter hears no more. */
  leave(): void;
}

const threads: HashThread[] = [];

/** Undefined where all are taken. */
export function takeSeat(sitter: Sitter, names: readonly HashName[]): Seat | undefined {
  return chooseThread()?.seat(sitter, names);
}

/** The one with the most bodies for which its lanes suffice; else the one with the fewest, once there are as many as there may be. */
function chooseThread(): HashThread | undefined {
  let fitting: HashThread | undefined;
  let emptiest: HashThread | undefined;
  for (const thread of threads) {
    if (thread.taken < FULL_LANES && (fitting === undefined || thread.taken > fitting.taken)) fitting = thread;
    if (emptiest === undefined || thread.taken < emptiest.taken) emptiest = thread;
  }
  if (fitting !== undefined) return fitting;
  if (threads.length < Math.min(MOST_THREADS, availableParallelism())) {
    const started = new HashThread((ended) => threads.splice(threads.indexOf(ended), 1));
    threads.push(started);
    return started;
  }
  return emptiest !== undefined && emptiest.taken < SEATS ? emptiest : undefined;
}

let modules: ThreadData["modules"] | undefined;

class HashThread {
  readonly #worker: Worker;
  readonly #memory: WebAssembly.Memory;
  readonly #free = Array.from({ length: SEATS }, (_, index) => SEATS - 1 - index);
  readonly #sitters = new Map<number, Sitter>();
  #ended = false;

  constructor(onEnd: (thread: HashThread) => void) {
    modules ??= ([1, 4, 8] as const).map((lanes) => [lanes, buildMd5Module(lanes)]);
    const pages = 1 + (SEATS * SLOTS_OF_A_SEAT * SLOT_BYTES) / PAGE_BYTES;
    // Address space; a page takes memory from when it is first written on, and seats are taken anew from the lowest.
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const workerData: ThreadData = {
      memory: this.#memory,
      modules,
      md5Start: MD5_START,
      firstSlotByte: PAGE_BYTES,
      slotBytes: SLOT_BYTES,
    };
    // Text, so that bundles and sources alike need no file beside them.
    const source = `const { parentPort, workerData } = require("node:worker_threads");
(${hashInThread.toString()})(parentPort, workerData, require("node:crypto").createHash);`;
    this.#worker = new Worker(source, { eval: true, workerData });
    this.#worker.on("message", (message: FromThread) => this.#onMessage(message));
    const end = (cause?: Error): void => {
      if (this.#ended) return;
      this.#ended = true;
      onEnd(this);
      this.#free.length = 0;
      for (const sitter of this.#sitters.values()) sitter.onFailure(cause);
      this.#sitters.clear();
    };
    this.#worker.on("error", end);
    this.#worker.on("exit", () => end());
    this.#worker.unref();
  }

  get taken(): number {
    return SEATS - this.#free.length;
  }

  seat(sitter: Sitter, names: readonly HashName[]): Seat {
    const seat = this.#free.pop() as number;
    const slots = Array.from({ length: SLOTS_OF_A_SEAT }, (_, index) => this.#slot(seat * SLOTS_OF_A_SEAT + index));
    this.#sitters.set(seat, sitter);
    this.#worker.ref();
    this.#post({ seat, names });
    return {
      slots,
      give: (slot, length) => this.#post({ seat, slot: (slot.byteOffset - PAGE_BYTES) / SLOT_BYTES, length }),
      digest: () => this.#post({ seat, end: "digest" }),
      leave: () => {
        if (this.#sitters.get(seat) !== sitter) return;
        this.#sitters.delete(seat);
        this.#post({ seat, end: "abandon" });
      },
    };
  }

  #slot(index: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, PAGE_BYTES + index * SLOT_BYTES, SLOT_BYTES);
  }

  #onMessage(message: FromThread): void {
    const sitter = this.#sitters.get(message.seat);
    if ("slot" in message) return sitter?.onFree(this.#slot(message.slot));
    this.#sitters.delete(message.seat);
    this.#free.push(message.seat);
    // A process that has nothing else to do may end.
    if (this.#free.length === SEATS) this.#worker.unref();
    sitter?.onDigests(message.digests);
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message, []);
  }
}
