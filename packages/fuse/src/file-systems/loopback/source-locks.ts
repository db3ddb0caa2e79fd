import { Errno } from "../../protocol/errors.ts";
import { LockType } from "../../protocol/flags.ts";
import type { HeldLock } from "../../protocol/replies.ts";
import type { LockRequest } from "../../protocol/requests-attributes.ts";
import { O_RDONLY, O_RDWR, type SourceCalls } from "./source-calls.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
/** struct flock of a 64-bit machine: type and whence in 16 bits each, start and length in 64, the process in 32. */
const FLOCK_BYTES = 32;
const FIRST_RETRY_MS = 1;
const LAST_RETRY_MS = 100;

/**
 * Locks that are held at the source, so that those who use it directly see them. A lock of fcntl(2) belongs to its owner, and the source only
 * knows open files: each owner gets an open file of its own for each file that it locks. As this thread must not block, whoever waits asks
 * again and again, at most ten times a second in the end.
 */
export class SourceLocks {
  readonly #calls: SourceCalls;
  /** Descriptors by inode and owner. */
  readonly #owned = new Map<number, Map<bigint, number>>();
  readonly #lock = Buffer.alloc(FLOCK_BYTES);

  constructor(calls: SourceCalls) {
    this.#calls = calls;
  }

  /** Tells who is in the way, as far as the source knows: it names no process for the lock of an open file. */
  test(request: LockRequest, held: number): HeldLock | Errno {
    const descriptor = this.#descriptorFor(request, held);
    if (descriptor < 0) return descriptor as Errno;
    this.#describe(request);
    const result = this.#calls.fileLock(descriptor, F_OFD_GETLK, this.#lock);
    if (result < 0) return result as Errno;
    const type = this.#lock.readInt16LE(0);
    const start = Number(this.#lock.readBigInt64LE(8));
    const lengthBytes = Number(this.#lock.readBigInt64LE(16));
    const end = lengthBytes === 0 ? Number.POSITIVE_INFINITY : start + lengthBytes - 1;
    return { start, end, type, pid: Math.max(this.#lock.readInt32LE(24), 0) };
  }

  set(request: LockRequest, held: number): Errno | undefined | Promise<Errno | undefined> {
    const result = this.#try(request, held);
    if (result >= 0) return undefined;
    return result === Errno.EAGAIN && request.wait ? this.#wait(request, held) : (result as Errno);
  }

  /** An owner has closed a descriptor of the file, which ends all its locks on it, as POSIX wants it. */
  releaseOwner(inode: number, owner: bigint): void {
    const owners = this.#owned.get(inode);
    const descriptor = owners?.get(owner);
    if (owners === undefined || descriptor === undefined) return;
    this.#calls.close(descriptor);
    owners.delete(owner);
    if (owners.size === 0) this.#owned.delete(inode);
  }

  releaseInode(inode: number): void {
    for (const owner of this.#owned.get(inode)?.keys() ?? []) this.releaseOwner(inode, owner);
  }

  #try(request: LockRequest, held: number): number {
    if (request.flock) {
      const kind = request.type === LockType.UNLOCK ? LOCK_UN : request.type === LockType.WRITE ? LOCK_EX : LOCK_SH;
      return this.#calls.flock(request.handle, kind | LOCK_NB);
    }
    const descriptor = this.#descriptorFor(request, held);
    if (descriptor < 0) return descriptor;
    this.#describe(request);
    return this.#calls.fileLock(descriptor, F_OFD_SETLK, this.#lock);
  }

  async #wait(request: LockRequest, held: number): Promise<Errno | undefined> {
    for (let delayMs = FIRST_RETRY_MS; !request.signal.aborted; delayMs = Math.min(delayMs * 2, LAST_RETRY_MS)) {
      await pause(delayMs, request.signal);
      const result = this.#try(request, held);
      if (result !== Errno.EAGAIN) return result < 0 ? (result as Errno) : undefined;
    }
    return Errno.EINTR;
  }

  #descriptorFor({ inode, owner }: LockRequest, held: number): number {
    let owners = this.#owned.get(inode);
    const known = owners?.get(owner);
    if (known !== undefined) return known;
    let descriptor = this.#calls.openAgain(held, O_RDWR);
    if (descriptor === Errno.EROFS || descriptor === Errno.ETXTBSY) descriptor = this.#calls.openAgain(held, O_RDONLY);
    if (descriptor < 0) return descriptor;
    if (owners === undefined) this.#owned.set(inode, (owners = new Map()));
    owners.set(owner, descriptor);
    return descriptor;
  }

  #describe({ type, start, end }: LockRequest): void {
    const lock = this.#lock.fill(0);
    lock.writeInt16LE(type, 0);
    lock.writeBigInt64LE(BigInt(start), 8);
    lock.writeBigInt64LE(Number.isFinite(end) ? BigInt(end - start + 1) : 0n, 16);
  }
}

/** Resolves after a while, or at once when the signal is aborted. */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, delayMs);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
