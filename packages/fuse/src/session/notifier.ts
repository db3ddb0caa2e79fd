import { FuseError } from "../protocol/errors.ts";
import { EXPIRE_ONLY } from "../protocol/flags.ts";
import { nameBytes } from "../protocol/names.ts";
import { NotifyCode } from "../protocol/opcodes.ts";
import { Reply } from "../protocol/reply.ts";
import {
  NotifyDeleteOut,
  NotifyInvalEntryOut,
  NotifyInvalInodeOut,
  NotifyPollWakeupOut,
  NotifyRetrieveOut,
  NotifyStoreOut,
} from "../protocol/structs-out.ts";
import { writeNotification } from "./device.ts";
import type { NotificationQueue } from "./notification-queue.ts";

/**
 * Tells the kernel what changed on our side, from the main thread or from a worker. Each call resolves with false when the kernel knew nothing of
 * what it was told about, or the file system is unmounted.
 *
 * `forgetAttributes`, `retrieve`, `wakeup`, `expireAllEntries`, and `invalidateInode` with a negative offset have reached the kernel when the call
 * returns. The others need a lock of the kernel, of pages or of a directory, that a request may have which is still to be answered. So a thread of
 * their own writes them, one after the other: an operation may make one about the file or directory that it works on, and it is carried out
 * when the operation has been answered; but an operation must not await it, as each would wait for the other.
 *
 * Up to 1,024 of them, and 64 MiB of data, may wait; more are refused with `Busy`.
 */
export interface Notifier {
  /** Forgets the attributes, and the data from `offset` on: `lengthBytes` of it, or all with 0. A negative offset: only the attributes. */
  invalidateInode(inode: number, range?: { readonly offset: number; readonly lengthBytes: number }): Promise<boolean>;
  /** Forgets the attributes, and says so without a promise. */
  forgetAttributes(inode: number): boolean;
  /** Forgets that a name leads anywhere. `expireOnly` (Linux 6.2): it is looked up again, but an open directory of that name stays. */
  invalidateEntry(parent: number, name: string, options?: { readonly expireOnly?: boolean }): Promise<boolean>;
  /** A name was removed that led to `child`; who watches the directory is told. */
  deleted(parent: number, child: number, name: string): Promise<boolean>;
  /** Puts data into the page cache. The data is copied. */
  store(inode: number, offset: number, data: Uint8Array): Promise<boolean>;
  /** Fetches what the page cache has of a file, from `offset` up to the first page that is missing. */
  retrieve(
    inode: number,
    range: { readonly offset: number; readonly lengthBytes: number },
  ): Promise<Buffer | undefined>;
  /** Those who poll should ask again. `wakeup` is from a `PollRequest`. */
  wakeup(wakeup: number): Promise<boolean>;
  /** Every name is to be looked up again (Linux 6.16). */
  expireAllEntries(): Promise<boolean>;
}

/** How many retrievals may wait for the kernel. */
const MAX_RETRIEVALS = 64;
/** The kernel says of a retrieval only the number that we gave it, and any thread may hear that. So the number tells whose it is. */
const NUMBERS_OF_A_THREAD = 2 ** 32;

/** Which notifier a retrieval is from: `MAIN_THREAD`, or the number of a worker. */
export function originOfRetrieval(unique: number): number {
  return Math.floor(unique / NUMBERS_OF_A_THREAD);
}

export const MAIN_THREAD = 0;

export class DeviceNotifier implements Notifier {
  readonly #descriptor: number;
  readonly #origin: number;
  readonly #queue: NotificationQueue;
  readonly #forgetting = new Reply(NotifyInvalInodeOut.sizeBytes);
  readonly #retrievals = new Map<number, (data: Buffer | undefined) => void>();
  #retrievalCount = 0;
  #hasNews = false;
  #closed = false;

  /** `queue` leads to the thread that may wait; `origin` is `MAIN_THREAD` or the number of a worker. */
  constructor(deps: { readonly descriptor: number; readonly queue: NotificationQueue }, origin: number) {
    this.#descriptor = deps.descriptor;
    this.#queue = deps.queue;
    this.#origin = origin;
  }

  /** How many notifications wait for an answer that comes by way of the event loop of this thread. */
  get pending(): number {
    return this.#queue.pending + this.#retrievals.size;
  }

  /** Whether a promise was settled since this was asked, so that the event loop is owed a turn. */
  takeNews(): boolean {
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    return hasNews;
  }

  invalidateInode(inode: number, range?: { readonly offset: number; readonly lengthBytes: number }): Promise<boolean> {
    const at = NotifyInvalInodeOut.at;
    const offset = range?.offset ?? 0;
    if (offset < 0) return this.#atOnce(() => this.forgetAttributes(inode));
    return this.#queued(NotifyCode.INVAL_INODE, NotifyInvalInodeOut.sizeBytes, (message) => {
      message.i64(at.ino, inode);
      message.i64(at.off, offset);
      message.i64(at.len, range?.lengthBytes ?? 0);
    });
  }

  forgetAttributes(inode: number): boolean {
    const message = this.#forgetting;
    const at = NotifyInvalInodeOut.at;
    message.begin(0, NotifyCode.INVAL_INODE);
    message.i64(at.ino, inode);
    message.i64(at.off, -1);
    message.i64(at.len, 0);
    message.bodyBytes = NotifyInvalInodeOut.sizeBytes;
    message.end(0);
    return this.#write(message);
  }

  invalidateEntry(parent: number, name: string, options?: { readonly expireOnly?: boolean }): Promise<boolean> {
    const at = NotifyInvalEntryOut.at;
    return this.#queued(NotifyCode.INVAL_ENTRY, NotifyInvalEntryOut.sizeBytes + nameBytes(name) + 1, (message) => {
      message.i64(at.parent, parent);
      message.u32(at.namelen, message.name(name, NotifyInvalEntryOut.sizeBytes));
      message.u32(at.flags, options?.expireOnly === true ? EXPIRE_ONLY : 0);
    });
  }

  deleted(parent: number, child: number, name: string): Promise<boolean> {
    const at = NotifyDeleteOut.at;
    return this.#queued(NotifyCode.DELETE, NotifyDeleteOut.sizeBytes + nameBytes(name) + 1, (message) => {
      message.i64(at.parent, parent);
      message.i64(at.child, child);
      message.u32(at.namelen, message.name(name, NotifyDeleteOut.sizeBytes));
    });
  }

  store(inode: number, offset: number, data: Uint8Array): Promise<boolean> {
    const at = NotifyStoreOut.at;
    return this.#queued(NotifyCode.STORE, NotifyStoreOut.sizeBytes + data.length, (message) => {
      message.i64(at.nodeid, inode);
      message.i64(at.offset, offset);
      message.u32(at.size, data.length);
      message.copy(data, NotifyStoreOut.sizeBytes);
    });
  }

  async retrieve(
    inode: number,
    range: { readonly offset: number; readonly lengthBytes: number },
  ): Promise<Buffer | undefined> {
    if (this.#retrievals.size >= MAX_RETRIEVALS) {
      throw new FuseError("Busy", `${MAX_RETRIEVALS} retrievals are under way: wait for one of them.`);
    }
    this.#retrievalCount += 1;
    const unique = this.#origin * NUMBERS_OF_A_THREAD + (this.#retrievalCount % NUMBERS_OF_A_THREAD);
    const at = NotifyRetrieveOut.at;
    const message = build(NotifyCode.RETRIEVE, NotifyRetrieveOut.sizeBytes, (reply) => {
      reply.i64(at.notify_unique, unique);
      reply.i64(at.nodeid, inode);
      reply.i64(at.offset, range.offset);
      reply.u32(at.size, range.lengthBytes);
    });
    this.#hasNews = true;
    // Another thread may hear the answer before the write has returned here, but this one cannot be told before.
    if (!this.#write(message)) return undefined;
    return new Promise((resolve) => void this.#retrievals.set(unique, resolve));
  }

  /** The kernel's answer has come in, or never will. */
  retrieved(unique: number, data: Buffer | undefined): void {
    const resolve = this.#retrievals.get(unique);
    this.#retrievals.delete(unique);
    this.#hasNews = true;
    resolve?.(data);
  }

  /** The session is over: nothing that is still waited for will come. */
  close(): void {
    this.#closed = true;
    for (const unique of this.#retrievals.keys()) this.retrieved(unique, undefined);
    this.#queue.close();
  }

  wakeup(wakeup: number): Promise<boolean> {
    const message = build(NotifyCode.POLL, NotifyPollWakeupOut.sizeBytes, (reply) => {
      reply.i64(NotifyPollWakeupOut.at.kh, wakeup);
    });
    return this.#atOnce(() => this.#write(message));
  }

  expireAllEntries(): Promise<boolean> {
    return this.#atOnce(() => this.#write(build(NotifyCode.INC_EPOCH, 0, () => undefined)));
  }

  /** For what never makes the kernel wait. */
  async #atOnce(write: () => boolean): Promise<boolean> {
    this.#hasNews = true;
    return write();
  }

  #write(message: Reply): boolean {
    if (this.#closed) return false;
    const { taken, failure } = writeNotification(this.#descriptor, message.bytes);
    if (failure !== undefined) throw new FuseError(failure.code, failure.message);
    return taken;
  }

  #queued(code: number, bodyBytes: number, fill: (message: Reply) => void): Promise<boolean> {
    this.#hasNews = true;
    return this.#queue.write(build(code, bodyBytes, fill).bytes);
  }
}

/** A notification is a reply to request 0 whose error is its code. */
function build(code: number, bodyBytes: number, fill: (message: Reply) => void): Reply {
  const message = new Reply(bodyBytes);
  message.begin(0, code);
  message.zero(0, bodyBytes);
  fill(message);
  message.bodyBytes = bodyBytes;
  message.end(0);
  return message;
}
