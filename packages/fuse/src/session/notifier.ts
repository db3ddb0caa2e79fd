import { writev } from "node:fs";
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
import { writeReply } from "./device.ts";

/**
 * Tells the kernel what changed on our side. Each call resolves with false when the kernel knew nothing of what it was told about.
 *
 * The kernel may have to wait for pages that are being read or written by requests to us before it has carried one out. So they are sent
 * from a thread of the pool, and an operation must not wait for a notification about a file that it is working on.
 */
export interface Notifier {
  /** Forgets the attributes, and the data from `offset` on: `lengthBytes` of it, or all with 0. A negative offset: only the attributes. */
  invalidateInode(inode: number, range?: { readonly offset: number; readonly lengthBytes: number }): Promise<boolean>;
  /**
   * Forgets the attributes at once. As this never makes the kernel wait, an operation may do it; and a file system in the worker may, which gets
   * no answers to other notifications as long as it has no promise pending.
   */
  forgetAttributes(inode: number): boolean;
  /** Forgets that a name leads anywhere. `expireOnly` (Linux 6.2): it is looked up again, but an open directory of that name stays. */
  invalidateEntry(parent: number, name: string, options?: { readonly expireOnly?: boolean }): Promise<boolean>;
  /** A name was removed that led to `child`; who watches the directory is told. */
  deleted(parent: number, child: number, name: string): Promise<boolean>;
  /** Puts data into the page cache. */
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

export class DeviceNotifier implements Notifier {
  readonly #descriptor: number;
  readonly #forgetting = new Reply(NotifyInvalInodeOut.sizeBytes);
  readonly #retrievals = new Map<number, (data: Buffer | undefined) => void>();
  #nextRetrieval = 1;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  invalidateInode(inode: number, range?: { readonly offset: number; readonly lengthBytes: number }): Promise<boolean> {
    const at = NotifyInvalInodeOut.at;
    return this.#send(NotifyCode.INVAL_INODE, NotifyInvalInodeOut.sizeBytes, (message) => {
      message.i64(at.ino, inode);
      message.i64(at.off, range?.offset ?? 0);
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
    return writeReply(this.#descriptor, message, undefined);
  }

  invalidateEntry(parent: number, name: string, options?: { readonly expireOnly?: boolean }): Promise<boolean> {
    const at = NotifyInvalEntryOut.at;
    return this.#send(NotifyCode.INVAL_ENTRY, NotifyInvalEntryOut.sizeBytes + nameBytes(name) + 1, (message) => {
      message.i64(at.parent, parent);
      message.u32(at.namelen, message.name(name, NotifyInvalEntryOut.sizeBytes));
      message.u32(at.flags, options?.expireOnly === true ? EXPIRE_ONLY : 0);
    });
  }

  deleted(parent: number, child: number, name: string): Promise<boolean> {
    const at = NotifyDeleteOut.at;
    return this.#send(NotifyCode.DELETE, NotifyDeleteOut.sizeBytes + nameBytes(name) + 1, (message) => {
      message.i64(at.parent, parent);
      message.i64(at.child, child);
      message.u32(at.namelen, message.name(name, NotifyDeleteOut.sizeBytes));
    });
  }

  store(inode: number, offset: number, data: Uint8Array): Promise<boolean> {
    const at = NotifyStoreOut.at;
    const fill = (message: Reply): void => {
      message.i64(at.nodeid, inode);
      message.i64(at.offset, offset);
      message.u32(at.size, data.length);
    };
    return this.#send(NotifyCode.STORE, NotifyStoreOut.sizeBytes, fill, data);
  }

  async retrieve(
    inode: number,
    range: { readonly offset: number; readonly lengthBytes: number },
  ): Promise<Buffer | undefined> {
    if (this.#retrievals.size >= MAX_RETRIEVALS) {
      throw new FuseError("Busy", `${MAX_RETRIEVALS} retrievals are under way: wait for one of them.`);
    }
    const unique = this.#nextRetrieval;
    this.#nextRetrieval += 1;
    const at = NotifyRetrieveOut.at;
    const answer = new Promise<Buffer | undefined>((resolve) => void this.#retrievals.set(unique, resolve));
    const fill = (message: Reply): void => {
      message.i64(at.notify_unique, unique);
      message.i64(at.nodeid, inode);
      message.i64(at.offset, range.offset);
      message.u32(at.size, range.lengthBytes);
    };
    try {
      if (!(await this.#send(NotifyCode.RETRIEVE, NotifyRetrieveOut.sizeBytes, fill)))
        this.retrieved(unique, undefined);
    } catch (error) {
      this.#retrievals.delete(unique);
      throw error;
    }
    return answer;
  }

  /** The kernel's answer has come in, or never will. */
  retrieved(unique: number, data: Buffer | undefined): void {
    const resolve = this.#retrievals.get(unique);
    this.#retrievals.delete(unique);
    resolve?.(data);
  }

  /** The session is over: nothing that is still waited for will come. */
  close(): void {
    for (const unique of this.#retrievals.keys()) this.retrieved(unique, undefined);
  }

  wakeup(wakeup: number): Promise<boolean> {
    return this.#send(NotifyCode.POLL, NotifyPollWakeupOut.sizeBytes, (message) => {
      message.i64(NotifyPollWakeupOut.at.kh, wakeup);
    });
  }

  expireAllEntries(): Promise<boolean> {
    return this.#send(NotifyCode.INC_EPOCH, 0, () => undefined);
  }

  #send(code: number, bodyBytes: number, fill: (message: Reply) => void, data?: Uint8Array): Promise<boolean> {
    const message = new Reply(bodyBytes);
    // A notification is a reply to request 0 whose error is its code.
    message.begin(0, code);
    message.zero(0, bodyBytes);
    fill(message);
    message.bodyBytes = bodyBytes;
    message.end(data?.length ?? 0);
    const parts = data === undefined ? [message.bytes] : [message.bytes, data];
    return new Promise((resolve, reject) => {
      writev(this.#descriptor, parts, null, (error) => {
        if (error === null) resolve(true);
        else if (error.code === "ENOENT" || error.code === "ENOTDIR" || error.code === "ENODEV") resolve(false);
        else reject(notificationError(error));
      });
    });
  }
}

function notificationError(error: NodeJS.ErrnoException): FuseError {
  const reasons: Readonly<Record<string, string>> = {
    EINVAL: "this kernel does not know it",
    ENOTEMPTY: "the directory is not empty",
    EBUSY: "something is mounted there",
    EBADF: "the file system is unmounted",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new FuseError("Unsupported", `The kernel did not take a notification: ${reason}.`, { cause: error });
}
