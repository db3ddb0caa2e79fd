import { randomUUID } from "node:crypto";
import { GfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Key, KvLease, LeaseId } from "./kv.ts";

/** Leases of an engine whose data is in this process: they end with their time, with the process, or when released. */
export interface LeaseKeeperDeps {
  readonly clock: Clock;
  /** Deletes these keys in one transaction, those that are still bound to the lease. */
  readonly removeKeys: (lease: LeaseId, keys: readonly Key[]) => Promise<void>;
}

interface Held {
  readonly ttlMs: number;
  readonly ended: AbortController;
  readonly keys: Map<string, Key>;
  expiresAtMs: number;
  cancelTimer: () => void;
}

export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  readonly #held = new Map<LeaseId, Held>();
  /** Which lease a key lives by. */
  readonly #bindings = new Map<string, LeaseId>();

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
  }

  grant(ttlMs: number): KvLease {
    if (!(ttlMs > 0))
      throw new GfsError("InvalidArgument", `A lease lives longer than zero milliseconds, not ${ttlMs}.`);
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
      lost: held.ended.signal,
      keepAlive: async () => {
        this.assertAlive(id);
        held.cancelTimer();
        this.#arm(id, held);
      },
      release: async () => await this.#end(id),
    };
  }

  #arm(id: LeaseId, held: Held): void {
    held.expiresAtMs = this.#deps.clock.monotonicMs() + held.ttlMs;
    held.cancelTimer = this.#deps.clock.timer(held.ttlMs, () => {
      this.#end(id).catch(() => undefined);
    });
  }

  async #end(id: LeaseId): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.cancelTimer();
    this.#held.delete(id);
    held.ended.abort();
    if (held.keys.size > 0) await this.#deps.removeKeys(id, [...held.keys.values()]);
  }

  assertAlive(id: LeaseId): void {
    const held = this.#held.get(id);
    if (held === undefined || held.expiresAtMs <= this.#deps.clock.monotonicMs()) {
      throw new GfsError("StaleEpoch", "The lease has ended; take a new one.");
    }
  }

  isBound(name: string, id: LeaseId): boolean {
    return this.#bindings.get(name) === id;
  }

  /** After a commit: the key lives by this lease, or by none. */
  bind(name: string, key: Key, id: LeaseId | undefined): void {
    const before = this.#bindings.get(name);
    if (before === undefined && id === undefined) return;
    if (before !== undefined) this.#held.get(before)?.keys.delete(name);
    if (id === undefined) {
      this.#bindings.delete(name);
      return;
    }
    this.#bindings.set(name, id);
    this.#held.get(id)?.keys.set(name, key);
  }

  get hasBindings(): boolean {
    return this.#bindings.size > 0;
  }

  close(): void {
    for (const held of this.#held.values()) {
      held.cancelTimer();
      held.ended.abort();
    }
    this.#held.clear();
  }
}
