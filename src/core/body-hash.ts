import { createHash, type Hash } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { GfsError } from "./errors.ts";

/**
 * MD5 and SHA-256 of a body while it streams by. A large one is hashed by another thread: MD5 alone takes longer than all else that is done
 * with the bytes (measured: 90 ms for 64 MiB, where reading them from a socket and writing them to a file take 65).
 */
export type HashName = "md5" | "sha256";

export interface BodyHash {
  /** Copies the bytes if it keeps them; resolves when it can take more. */
  update(chunk: Uint8Array): Promise<void> | void;
  /** Hex digests; the last call. */
  digest(): Promise<Digests> | Digests;
  /** Gives the body up. */
  abandon(): void;
}

export type Digests = Readonly<Partial<Record<HashName, string>>>;

/** Below it the way to another thread costs more than it saves. */
const THREADED_FROM_BYTES = 1024 * 1024;

export function createBodyHash(names: readonly HashName[], sizeBytes: number | undefined): BodyHash {
  if (names.length === 0 || sizeBytes === undefined || sizeBytes < THREADED_FROM_BYTES) return new LocalHash(names);
  return new ThreadedHash(names);
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

/** Buffers go to the thread and come back to be filled again: so many in all for one body, which is what bounds it. */
const BUFFER_BYTES = 256 * 1024;
const BUFFERS = 2;
/** Kept for the next bodies. */
const MOST_IDLE_BUFFERS = 32;
const idle: ArrayBuffer[] = [];

type ToThread =
  | { readonly id: number; readonly names: readonly HashName[] }
  | { readonly id: number; readonly bytes: ArrayBuffer; readonly length: number }
  | { readonly id: number; readonly end: boolean };

type FromThread =
  | { readonly id: number; readonly bytes: ArrayBuffer }
  | { readonly id: number; readonly digests: Digests };

/** Text, so that bundles and sources alike need no file beside them. */
const THREAD_SOURCE = `
const { parentPort } = require("node:worker_threads");
const { createHash } = require("node:crypto");
const bodies = new Map();
parentPort.on("message", (message) => {
  const { id, names, bytes, length, end } = message;
  if (names !== undefined) bodies.set(id, names.map((name) => [name, createHash(name)]));
  else if (bytes !== undefined) {
    const view = new Uint8Array(bytes, 0, length);
    for (const [, hash] of bodies.get(id) ?? []) hash.update(view);
    parentPort.postMessage({ id, bytes }, [bytes]);
  } else {
    const hashes = bodies.get(id) ?? [];
    bodies.delete(id);
    if (end) parentPort.postMessage({ id, digests: Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest("hex")])) });
  }
});`;

class HashThread {
  readonly #worker: Worker;
  readonly #bodies = new Map<number, ThreadedHash>();

  constructor(onEnd: (thread: HashThread) => void) {
    this.#worker = new Worker(THREAD_SOURCE, { eval: true });
    this.#worker.on("message", (message: FromThread) => {
      const body = this.#bodies.get(message.id);
      if ("bytes" in message) body?.takeBack(message.bytes);
      else {
        this.#bodies.delete(message.id);
        body?.finish(message.digests);
        this.#rest();
      }
    });
    const end = (error?: Error): void => {
      onEnd(this);
      for (const body of this.#bodies.values()) body.fail(error);
      this.#bodies.clear();
    };
    this.#worker.on("error", end);
    this.#worker.on("exit", () => end());
    this.#worker.unref();
  }

  get bodies(): number {
    return this.#bodies.size;
  }

  begin(id: number, body: ThreadedHash, names: readonly HashName[]): void {
    this.#bodies.set(id, body);
    this.#worker.ref();
    this.#post({ id, names });
  }

  give(id: number, bytes: ArrayBuffer, length: number): void {
    this.#post({ id, bytes, length }, [bytes]);
  }

  end(id: number): void {
    this.#post({ id, end: true });
  }

  abandon(id: number): void {
    if (this.#bodies.delete(id)) this.#post({ id, end: false });
    this.#rest();
  }

  /** A process that has nothing else to do may end. */
  #rest(): void {
    if (this.#bodies.size === 0) this.#worker.unref();
  }

  #post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

const threads: HashThread[] = [];
const MOST_THREADS = 4;
let bodiesSoFar = 0;

/** The one with the fewest bodies; another one is started while there are cores for it. */
function freestThread(): HashThread {
  const freest = threads.reduce<HashThread | undefined>(
    (best, thread) => (best === undefined || thread.bodies < best.bodies ? thread : best),
    undefined,
  );
  if (freest !== undefined && (freest.bodies === 0 || threads.length >= Math.min(MOST_THREADS, availableParallelism())))
    return freest;
  const started = new HashThread((ended) => {
    const index = threads.indexOf(ended);
    if (index !== -1) threads.splice(index, 1);
  });
  threads.push(started);
  return started;
}

class ThreadedHash implements BodyHash {
  readonly #thread = freestThread();
  readonly #id = ++bodiesSoFar;
  #current: ArrayBuffer | undefined;
  #filled = 0;
  readonly #free: ArrayBuffer[] = [];
  #made = 0;
  #wake: (() => void) | undefined;
  #failure: GfsError | undefined;
  #finish: ((digests: Digests) => void) | undefined;
  #reject: ((error: GfsError) => void) | undefined;

  constructor(names: readonly HashName[]) {
    this.#thread.begin(this.#id, this, names);
  }

  update(chunk: Uint8Array): Promise<void> | void {
    const taken = this.#fill(chunk, 0);
    if (taken < chunk.byteLength) return this.#fillSlowly(chunk, taken);
  }

  /** As far as there is room; resolves with how much was taken. */
  #fill(chunk: Uint8Array, from: number): number {
    let taken = from;
    while (taken < chunk.byteLength) {
      const buffer = this.#buffer();
      if (buffer === undefined) return taken;
      const count = Math.min(chunk.byteLength - taken, BUFFER_BYTES - this.#filled);
      new Uint8Array(buffer, this.#filled, count).set(chunk.subarray(taken, taken + count));
      this.#filled += count;
      taken += count;
      if (this.#filled === BUFFER_BYTES) this.#flush();
    }
    return taken;
  }

  async #fillSlowly(chunk: Uint8Array, from: number): Promise<void> {
    for (let taken = from; taken < chunk.byteLength; taken = this.#fill(chunk, taken)) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#current === undefined && this.#free.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #buffer(): ArrayBuffer | undefined {
    if (this.#current === undefined) {
      this.#current = this.#free.pop();
      this.#filled = 0;
      if (this.#current === undefined && this.#made < BUFFERS) {
        this.#made += 1;
        this.#current = idle.pop() ?? new ArrayBuffer(BUFFER_BYTES);
      }
    }
    return this.#current;
  }

  #flush(): void {
    if (this.#current === undefined) return;
    this.#thread.give(this.#id, this.#current, this.#filled);
    this.#current = undefined;
  }

  takeBack(bytes: ArrayBuffer): void {
    if (this.#finish !== undefined) {
      if (idle.length < MOST_IDLE_BUFFERS) idle.push(bytes);
      return;
    }
    this.#free.push(bytes);
    this.#wake?.();
    this.#wake = undefined;
  }

  async digest(): Promise<Digests> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#flush();
    for (const bytes of this.#free.splice(0)) if (idle.length < MOST_IDLE_BUFFERS) idle.push(bytes);
    return await new Promise<Digests>((resolve, reject) => {
      this.#finish = resolve;
      this.#reject = reject;
      this.#thread.end(this.#id);
    });
  }

  finish(digests: Digests): void {
    this.#finish?.(digests);
  }

  fail(cause: Error | undefined): void {
    this.#failure = new GfsError("Internal", "The thread that hashes bodies has ended.", { op: "hash", cause });
    this.#reject?.(this.#failure);
    this.#wake?.();
  }

  abandon(): void {
    this.#thread.abandon(this.#id);
  }
}
