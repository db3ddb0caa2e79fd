/** What one commit waits for: those who may have read what it has changed, until each has said that it knows. */
export class Wait {
  readonly revision: number;
  readonly sinceMs: number;
  /** Sessions that this coordinator serves. */
  readonly here = new Set<object>();
  /** Other coordinators. */
  readonly elsewhere = new Set<object>();
  #listeners: Listener[] = [];
  #failure: unknown;
  readonly #onSettled: (wait: Wait) => void;

  constructor(
    { revision, sinceMs }: { readonly revision: number; readonly sinceMs: number },
    onSettled: (wait: Wait) => void,
  ) {
    this.revision = revision;
    this.sinceMs = sinceMs;
    this.#onSettled = onSettled;
  }

  settle(who: object): void {
    if (!this.here.delete(who) && !this.elsewhere.delete(who)) return;
    if (this.#listeners.length > 0)
      this.#listeners = this.#listeners.filter(({ except, resolve }) => {
        if (!this.isOver(except)) return true;
        resolve();
        return false;
      });
    if (this.here.size === 0) this.#onSettled(this);
  }

  /** Nobody is waited for but who has made the commit. */
  isOver(except?: object): boolean {
    if (this.elsewhere.size > 0) return false;
    return this.here.size === 0 || (this.here.size === 1 && except !== undefined && this.here.has(except));
  }

  /** Somebody does wait. */
  get isAwaited(): boolean {
    return this.#listeners.length > 0;
  }

  async done(except?: object): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.isOver(except)) return;
    await new Promise<void>((resolve, reject) => this.#listeners.push({ except, resolve, reject }));
  }

  /** Nobody here will say any more when it is over. */
  fail(error: unknown): void {
    this.#failure = error;
    for (const { reject } of this.#listeners.splice(0)) reject(error);
  }
}

interface Listener {
  readonly except: object | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}
