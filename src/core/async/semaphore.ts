import { GfsError } from "../errors.ts";

interface Waiter {
  readonly amount: number;
  readonly wake: () => void;
}

/**
 * Counts out a budget: slots or bytes. First come, first served, also when a later, smaller request would fit, so that
 * a large one is never starved. A request larger than the whole budget waits until all of it is free.
 */
export class Semaphore {
  readonly #capacity: number;
  #free: number;
  readonly #waiters: Waiter[] = [];

  constructor(capacity: number) {
    if (!(capacity > 0)) throw new GfsError("InvalidArgument", `A budget must be above zero, not ${capacity}.`);
    this.#capacity = capacity;
    this.#free = capacity;
  }

  get inUse(): number {
    return this.#capacity - this.#free;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Resolves with the function that gives the amount back; calling it again does nothing. */
  async acquire(amount = 1, signal?: AbortSignal): Promise<() => void> {
    const charged = Math.min(amount, this.#capacity);
    if (signal?.aborted) throw signal.reason as Error;
    if (this.#waiters.length > 0 || this.#free < charged) await this.#wait(charged, signal);
    else this.#free -= charged;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#free += charged;
      this.#wakeNext();
    };
  }

  /** Undefined when it would have to wait. */
  tryAcquire(amount = 1): (() => void) | undefined {
    const charged = Math.min(amount, this.#capacity);
    if (this.#waiters.length > 0 || this.#free < charged) return undefined;
    this.#free -= charged;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#free += charged;
      this.#wakeNext();
    };
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const index = this.#waiters.indexOf(waiter);
        if (index === -1) return;
        this.#waiters.splice(index, 1);
        reject(signal?.reason as Error);
        this.#wakeNext();
      };
      const waiter: Waiter = {
        amount,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#waiters.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #wakeNext(): void {
    for (;;) {
      const next = this.#waiters[0];
      if (next === undefined || this.#free < next.amount) return;
      this.#waiters.shift();
      this.#free -= next.amount;
      next.wake();
    }
  }
}
