import { randomUUID } from "node:crypto";
import { GfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Key, KvLease, LeaseId } from "./kv.ts";

/** Leases of an engine whose data is in this process: they end with their time, with the process, or when released. */
export interface LeaseKeeperDeps {
  readonly clock: Clock;
  /** Commits something, so that what ended leases left behind goes with it. */
  readonly sweep: () => Promise<void>;
}

interface Held {
  readonly ttlMs: number;
  readonly ended: AbortController;
  readonly keys: Map<string, Key>;
  expiresAtMs: number;
  cancelTimer: () => void;
}

const SWEEP_AGAIN_MS = 1_000;

export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  readonly #held = new Map<LeaseId, Held>();
  /** Which lease a key lives by. */
  readonly #bindings = new Map<string, LeaseId>();
  /** Keys of leases that ended: nobody sees them any more, and the next commit removes them. */
  readonly #leftBehind = new Map<string, Key>();
  #cancelSweep: (() => void) | undefined;

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
  }

  grant(ttlMs: number, epoch: number): KvLease {
    const id = randomUUID();
    const held: Held = {
      ttlMs,
      ended: new AbortController(),
      keys: new Map(),
      expiresAtMs: 0,
      cancelTimer: () => undefined,
    };
    this.#held.set(id, held);
    this.#arm(id, held);
    return {
      id,
      epoch,
      lost: held.ended.signal,
      keepAlive: async () => {
        this.assertAlive(id);
        held.cancelTimer();
        this.#arm(id, held);
      },
      release: async () => {
        if (this.#end(id)) await this.#sweep();
      },
    };
  }

  #arm(id: LeaseId, held: Held): void {
    held.expiresAtMs = this.#deps.clock.monotonicMs() + held.ttlMs;
    held.cancelTimer = this.#deps.clock.timer(held.ttlMs, () => {
      // What cannot be removed now is tried again.
      if (this.#end(id)) this.#sweep().catch(() => undefined);
    });
  }

  /** Whether it left keys behind. */
  #end(id: LeaseId): boolean {
    const held = this.#held.get(id);
    if (held === undefined) return false;
    held.cancelTimer();
    this.#held.delete(id);
    for (const [name, key] of held.keys) this.#leftBehind.set(name, key);
    held.ended.abort();
    return held.keys.size > 0;
  }

  async #sweep(): Promise<void> {
    this.#sweepLater();
    await this.#deps.sweep();
    if (this.#leftBehind.size === 0) this.#cancelSweep?.();
  }

  #sweepLater(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = this.#deps.clock.timer(SWEEP_AGAIN_MS, () => {
      this.#sweep().catch(() => undefined);
    });
  }

  get leftBehind(): Iterable<Key> {
    return this.#leftBehind.values();
  }

  get hasLeftBehind(): boolean {
    return this.#leftBehind.size > 0;
  }

  assertAlive(id: LeaseId): void {
    const held = this.#held.get(id);
    if (held === undefined || held.expiresAtMs <= this.#deps.clock.monotonicMs()) {
      throw new GfsError("StaleEpoch", "The lease has ended; take a new one.");
    }
  }

  /** A commit is on its way after which the key lives by this lease, or by none. The answer takes it back, when the commit fails. */
  bind(name: string, key: Key, id: LeaseId | undefined): (() => void) | undefined {
    const before = this.#bindings.get(name);
    const wasLeftBehind = this.#leftBehind.delete(name);
    if (before === undefined && id === undefined && !wasLeftBehind) return undefined;
    this.#setBinding(name, key, id);
    return () => {
      // What was bound meanwhile has its own commit.
      if (this.#bindings.get(name) !== id) return;
      this.#setBinding(name, key, before);
      if (wasLeftBehind || (before !== undefined && !this.#held.has(before))) this.#leaveBehind(name, key);
    };
  }

  #setBinding(name: string, key: Key, id: LeaseId | undefined): void {
    const before = this.#bindings.get(name);
    if (before !== undefined) this.#held.get(before)?.keys.delete(name);
    const held = id === undefined ? undefined : this.#held.get(id);
    if (id === undefined || held === undefined) {
      this.#bindings.delete(name);
      return;
    }
    this.#bindings.set(name, id);
    held.keys.set(name, key);
  }

  #leaveBehind(name: string, key: Key): void {
    this.#leftBehind.set(name, key);
    this.#sweepLater();
  }

  get hasBindings(): boolean {
    return this.#bindings.size > 0 || this.#leftBehind.size > 0;
  }

  close(): void {
    this.#cancelSweep?.();
    for (const held of this.#held.values()) {
      held.cancelTimer();
      held.ended.abort();
    }
    this.#held.clear();
  }
}
