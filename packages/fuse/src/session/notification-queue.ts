import { FuseError, type FuseErrorCode } from "../protocol/errors.ts";

/** How many notifications may wait, and how many bytes they may have in all. */
const MAX_WAITING = 1024;
const MAX_WAITING_BYTES = 67_108_864;

/** What the thread that writes is given. The memory is its own from then on. */
export interface Notification {
  readonly id: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What came of it. `taken` is false if the kernel knew nothing of what it was told about. */
export interface Notified {
  readonly id: number;
  readonly taken: boolean;
  readonly failure: { readonly code: FuseErrorCode; readonly message: string } | undefined;
}

interface Waiting {
  readonly sizeBytes: number;
  resolve(taken: boolean): void;
  reject(error: FuseError): void;
}

/** Notifications that another thread writes, as writing them may have to wait for requests that this thread is to answer. */
export class NotificationQueue {
  readonly #post: (notification: Notification) => void;
  readonly #waiting = new Map<number, Waiting>();
  #waitingBytes = 0;
  #nextId = 1;
  #closed = false;

  constructor(post: (notification: Notification) => void) {
    this.#post = post;
  }

  /** How many of them have not been answered. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** They are carried out in this order, one after the other. False once the file system is unmounted, as the kernel then knows nothing of it. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    // One that is larger than everything that may wait has to wait alone.
    const isFull = this.#waitingBytes > 0 && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES;
    if (this.#waiting.size >= MAX_WAITING || isFull) {
      const reason = `${this.#waiting.size} notifications wait for the kernel: wait for one of them before the next.`;
      return Promise.reject(new FuseError("Busy", reason));
    }
    const id = this.#nextId;
    this.#nextId += 1;
    this.#waitingBytes += bytes.length;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { sizeBytes: bytes.length, resolve, reject });
      this.#post({ id, bytes });
    });
  }

  settle({ id, taken, failure }: Notified): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#waitingBytes -= waiting.sizeBytes;
    if (failure === undefined) waiting.resolve(taken);
    else waiting.reject(new FuseError(failure.code, failure.message));
  }

  /** Nobody writes any more: all that wait have come to the same end. */
  settleAll(end: Omit<Notified, "id">): void {
    for (const id of this.#waiting.keys()) this.settle({ id, ...end });
  }

  /** The file system is unmounted. */
  close(): void {
    this.#closed = true;
    this.settleAll({ taken: false, failure: undefined });
  }
}
