/**
 * One holder a key at a time, in the order they asked; holders of different keys do not wait for each other.
 * Forgets a key as soon as nobody holds it or waits for it.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  get heldKeys(): number {
    return this.#tails.size;
  }

  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let release!: () => void;
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#tails.set(key, mine);
    if (before !== undefined) await before;
    try {
      return await work();
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
      release();
    }
  }
}
