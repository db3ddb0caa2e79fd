import { Errno } from "../../protocol/errors.ts";
import { LockType } from "../../protocol/flags.ts";
import type { HeldLock } from "../../protocol/replies.ts";

export interface WantedLock {
  readonly owner: bigint;
  readonly start: number;
  readonly end: number;
  readonly type: number;
  readonly lockPid: number;
  readonly flock: boolean;
}

interface Lock extends HeldLock {
  readonly owner: bigint;
}

interface Waiter {
  readonly wanted: WantedLock;
  retry(): void;
}

/** Who waits for whom, over all files, so that a circle of waiting is noticed. */
export class LockWaits {
  readonly #blockers = new Map<bigint, ReadonlySet<bigint>>();

  /** False if somebody among the blockers waits, however indirectly, for this owner. */
  begin(owner: bigint, blockers: ReadonlySet<bigint>): boolean {
    if (this.#reaches(blockers, owner)) return false;
    this.#blockers.set(owner, blockers);
    return true;
  }

  end(owner: bigint): void {
    this.#blockers.delete(owner);
  }

  #reaches(from: ReadonlySet<bigint>, owner: bigint): boolean {
    const seen = new Set<bigint>();
    const open = [...from];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === owner) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(this.#blockers.get(next) ?? []));
    }
    return false;
  }
}

/** The locks of one file: those of fcntl(2), of ranges, and those of flock(2), of the whole file. The two kinds know nothing of each other. */
export class FileLocks {
  readonly #waits: LockWaits;
  readonly #waiters = new Set<Waiter>();
  #ranges: Lock[] = [];
  #whole: Lock[] = [];

  constructor(waits: LockWaits) {
    this.#waits = waits;
  }

  /** A lock that is in the way, if there is one. */
  conflict(wanted: WantedLock): HeldLock | undefined {
    return this.#conflicts(wanted)[0];
  }

  /** Locks or unlocks at once. False if another lock is in the way. */
  set(wanted: WantedLock): boolean {
    if (wanted.type === LockType.UNLOCK) {
      this.#replace(wanted);
      this.#wakeWaiters();
      return true;
    }
    if (this.#conflicts(wanted).length > 0) return false;
    this.#replace(wanted);
    // A lock that became a weaker one may let others in.
    if (wanted.type === LockType.READ) this.#wakeWaiters();
    return true;
  }

  /** Locks as soon as nothing is in the way. Resolves with EINTR when it was interrupted, EDEADLK if that would be never. */
  wait(wanted: WantedLock, signal: AbortSignal): Promise<Errno | undefined> {
    return new Promise((resolve) => {
      const leave = (result: Errno | undefined): void => {
        this.#waiters.delete(waiter);
        this.#waits.end(wanted.owner);
        signal.removeEventListener("abort", interrupted);
        resolve(result);
      };
      const interrupted = (): void => leave(Errno.EINTR);
      const retry = (): void => {
        const blockers = new Set(this.#conflicts(wanted).map(({ owner }) => owner));
        if (blockers.size === 0) {
          this.#replace(wanted);
          leave(undefined);
        } else if (!wanted.flock && !this.#waits.begin(wanted.owner, blockers)) {
          leave(Errno.EDEADLK);
        }
      };
      const waiter: Waiter = { wanted, retry };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", interrupted);
      if (signal.aborted) interrupted();
      else retry();
    });
  }

  /** Everything that an owner has locked in one of the two ways is unlocked. */
  releaseAll(owner: bigint, flock: boolean): void {
    const held = flock ? this.#whole : this.#ranges;
    const kept = held.filter((lock) => lock.owner !== owner);
    if (kept.length === held.length) return;
    if (flock) this.#whole = kept;
    else this.#ranges = kept;
    this.#wakeWaiters();
  }

  get isIdle(): boolean {
    return this.#ranges.length === 0 && this.#whole.length === 0 && this.#waiters.size === 0;
  }

  #conflicts(wanted: WantedLock): Lock[] {
    const held = wanted.flock ? this.#whole : this.#ranges;
    return held.filter(
      (lock) =>
        lock.owner !== wanted.owner &&
        lock.start <= wanted.end &&
        wanted.start <= lock.end &&
        (lock.type === LockType.WRITE || wanted.type === LockType.WRITE),
    );
  }

  /** Puts the wanted lock in the place of whatever its owner has in that range, and joins it with equal neighbours. */
  #replace(wanted: WantedLock): void {
    const held = wanted.flock ? this.#whole : this.#ranges;
    const next: Lock[] = [];
    let { start, end } = wanted;
    for (const lock of held) {
      if (lock.owner !== wanted.owner || lock.end + 1 < start || end + 1 < lock.start) {
        next.push(lock);
      } else if (lock.type === wanted.type) {
        start = Math.min(start, lock.start);
        end = Math.max(end, lock.end);
      } else {
        if (lock.start < wanted.start) next.push({ ...lock, end: Math.min(lock.end, wanted.start - 1) });
        if (lock.end > wanted.end) next.push({ ...lock, start: Math.max(lock.start, wanted.end + 1) });
      }
    }
    if (wanted.type !== LockType.UNLOCK) {
      next.push({ owner: wanted.owner, start, end, type: wanted.type, pid: wanted.lockPid });
    }
    if (wanted.flock) this.#whole = next;
    else this.#ranges = next;
  }

  #wakeWaiters(): void {
    // Waiters that are let in, or given up, leave the set meanwhile; nobody joins it.
    for (const waiter of this.#waiters) waiter.retry();
  }
}
