import type { Frame } from "./frame.ts";

/** What was negotiated and changes how requests are read. */
export interface Dialect {
  readonly setxattrExtended: boolean;
}

/** Gives out the memory that a reply is built in. */
export interface ReplyMemory {
  payload(sizeBytes: number): Buffer;
}

/**
 * What every operation is told. A request object is used again for the next request of its kind as soon as the operation has returned its
 * result; an operation that returns a promise keeps its request for itself until the promise settles.
 */
export abstract class Request {
  /** The kernel's number of this request. */
  unique = 0;
  /** The inode that the request is about: for operations on a name, the directory (`parent` says the same there). */
  inode = 0;
  /** Who asks. All three are 0 when the kernel asks for itself; the process may be of another pid namespace (then it is 0, too). */
  uid = 0;
  gid = 0;
  pid = 0;
  #interrupted = false;
  #controller: AbortController | undefined;

  /** Aborted when the process that waits was sent a signal, or the file system is being unmounted. Made when it is first asked for. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#interrupted) this.#controller.abort();
    return this.#controller.signal;
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#controller?.abort();
  }

  /** Takes over the next request of the kernel. */
  read(frame: Frame, dialect: Dialect): void {
    this.unique = frame.unique;
    this.inode = frame.inode;
    this.uid = frame.uid;
    this.gid = frame.gid;
    this.pid = frame.pid;
    this.#interrupted = false;
    this.#controller = undefined;
    this.decode(frame, dialect);
  }

  /** Reads what follows the header. Throws a `Protocol` error where the body is shorter than it has to be. */
  protected abstract decode(frame: Frame, dialect: Dialect): void;
}

/** A request without a body of its own: readlink, statfs, destroy. */
export class PlainRequest extends Request {
  protected override decode(): void {
    // The header says it all.
  }
}
