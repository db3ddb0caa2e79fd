import { Errno, findErrno, FuseError, protocolError } from "../protocol/errors.ts";
import type { Frame } from "../protocol/frame.ts";
import { negotiate, type Features, type Negotiated } from "../protocol/negotiation.ts";
import { Opcode } from "../protocol/opcodes.ts";
import { Reply } from "../protocol/reply.ts";
import type { Dialect, Request } from "../protocol/request.ts";
import { BatchForgetIn, ForgetIn, ForgetOne, InterruptIn, NotifyRetrieveIn } from "../protocol/structs-in.ts";
import { DEFER, type FileSystem } from "./file-system.ts";
import type { AnyOperation } from "./operation.ts";
import { ATTRIBUTE_OPERATIONS } from "./operations-attributes.ts";
import { FILE_OPERATIONS } from "./operations-files.ts";
import { NAME_OPERATIONS } from "./operations-names.ts";

/** Data up to here is copied behind the header and sent by one plain write; more is sent from where it lies. */
const COPY_BYTES = 16_384;
/** How many replies are kept for the next asynchronous reads. */
const SPARE_REPLIES = 4;
const LOWEST_ERRNO = -4095;
const DIALECT_BEFORE_INIT: Dialect = { setxattrExtended: false };

const OPERATIONS: readonly (AnyOperation | undefined)[] = operationTable();

function operationTable(): (AnyOperation | undefined)[] {
  const table: (AnyOperation | undefined)[] = [];
  for (const operations of [NAME_OPERATIONS, FILE_OPERATIONS, ATTRIBUTE_OPERATIONS]) {
    for (const [opcode, operation] of operations) table[opcode] = operation;
  }
  return table;
}

/** What became of a frame. "kept": its memory belongs to a promise until `releaseFrame` is called. */
export type Outcome = "done" | "kept" | "deferred";

export interface DispatcherPort {
  /** Sends a reply and the data behind it. False if the kernel no longer wants it. */
  send(reply: Reply, data: Uint8Array | undefined): boolean;
  /** Something went wrong that the kernel was only told an error number of. */
  onProblem(error: FuseError): void;
  onNegotiated(negotiated: Negotiated): void;
  /** The kernel's answer to a retrieve notification. The data is the frame's. */
  onRetrieved(unique: number, data: Buffer): void;
  /** The frame of a request that was "kept" may be used again. */
  releaseFrame(frame: Frame): void;
}

export interface DispatcherLimits {
  /** How many requests may wait for promises before no more are taken on. As many again may wait for locks. */
  readonly maxInFlight: number;
  /** How many of them may keep memory of `replyBytes` each. */
  readonly maxKept: number;
  readonly replyBytes: number;
}

/**
 * Reads requests, has the file system carry them out, and answers them. It runs in any thread. A request that is answered at once allocates
 * nothing here; one whose operation returned a promise keeps what it needs, and its kind goes on with a fresh request object.
 */
export class Dispatcher {
  readonly #fileSystem: FileSystem;
  readonly #features: Features;
  readonly #port: DispatcherPort;
  readonly #limits: DispatcherLimits;
  readonly #requests: (Request | undefined)[] = [];
  readonly #pending = new Map<number, Request>();
  readonly #spareReplies: Reply[] = [];
  #reply: Reply;
  #negotiated: Negotiated | undefined;
  #kept = 0;
  #lockWaits = 0;
  #settled: (() => void) | undefined;

  constructor(
    deps: { readonly fileSystem: FileSystem; readonly port: DispatcherPort },
    config: { readonly features: Features; readonly limits: DispatcherLimits },
  ) {
    this.#fileSystem = deps.fileSystem;
    this.#features = config.features;
    this.#port = deps.port;
    this.#limits = config.limits;
    this.#reply = new Reply(config.limits.replyBytes);
  }

  /** How many operations have returned a promise that has not settled. */
  get pending(): number {
    return this.#pending.size;
  }

  /** True when no further request should be taken on before `settled()`. */
  get full(): boolean {
    const { maxInFlight, maxKept } = this.#limits;
    return this.#pending.size - this.#lockWaits >= maxInFlight || this.#kept >= maxKept;
  }

  /** Resolves when the next pending operation has been answered. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#settled;
      this.#settled = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Takes on what another thread negotiated. */
  adopt(negotiated: Negotiated): void {
    this.#negotiated = negotiated;
  }

  /** Interrupts what is pending and resolves when all of it has been answered. */
  async drain(): Promise<void> {
    for (const request of this.#pending.values()) request.interrupt();
    while (this.#pending.size > 0) await this.settled();
  }

  /** Handles one frame of so many bytes. Throws a `Protocol` error for a frame that cannot be. */
  dispatch(frame: Frame, readBytes: number): Outcome {
    frame.parse(readBytes);
    const { opcode } = frame;
    if (this.#negotiated === undefined && opcode !== Opcode.INIT) throw protocolError("INIT does not come first");
    const operation = OPERATIONS[opcode];
    return operation === undefined ? this.#special(frame) : this.#operate(operation, frame);
  }

  #operate(operation: AnyOperation, frame: Frame): Outcome {
    const { opcode } = frame;
    const request = (this.#requests[opcode] ??= operation.create());
    const reply = this.#reply;
    request.read(frame, this.#negotiated ?? DIALECT_BEFORE_INIT);
    operation.prepare?.(request, reply);
    if (opcode === Opcode.SETLKW && this.#lockWaits >= this.#limits.maxInFlight) {
      this.#fail(reply, request.unique, Errno.ENOLCK);
      return "done";
    }
    let result: unknown;
    try {
      result = operation.call(this.#fileSystem, request);
    } catch (error) {
      result = this.#errnoOf(error, operation.name);
    }
    if (result === DEFER) return "deferred";
    if (result instanceof Promise || isThenable(result)) {
      this.#requests[opcode] = undefined;
      if (operation.fillsReply === true) this.#reply = this.#spareReplies.pop() ?? new Reply(this.#limits.replyBytes);
      const keepsFrame = operation.keepsFrame === true && !frame.shared;
      void this.#later(operation, { request, opcode, reply, frame: keepsFrame ? frame : undefined }, result);
      return keepsFrame ? "kept" : "done";
    }
    this.#finish(operation, request, { reply, result });
    return "done";
  }

  /** Answers when the promise has settled. Never rejects. */
  async #later(
    operation: AnyOperation,
    held: {
      readonly request: Request;
      readonly opcode: number;
      readonly reply: Reply;
      readonly frame: Frame | undefined;
    },
    promise: PromiseLike<unknown>,
  ): Promise<void> {
    const { request, opcode, frame } = held;
    const keeps = operation.fillsReply === true || frame !== undefined;
    const waitsForLock = opcode === Opcode.SETLKW;
    this.#pending.set(request.unique, request);
    if (keeps) this.#kept += 1;
    if (waitsForLock) this.#lockWaits += 1;
    let result: unknown;
    try {
      result = await promise;
    } catch (error) {
      result = this.#errnoOf(error, operation.name);
    }
    this.#pending.delete(request.unique);
    const own = operation.fillsReply === true;
    try {
      this.#finish(operation, request, { reply: own ? held.reply : this.#reply, result });
    } catch (error) {
      // The device is gone; the loop that reads from it says so.
      this.#port.onProblem(asFuseError(error));
    }
    if (own && this.#spareReplies.length < SPARE_REPLIES) this.#spareReplies.push(held.reply);
    if (keeps) this.#kept -= 1;
    if (waitsForLock) this.#lockWaits -= 1;
    if (frame !== undefined) this.#port.releaseFrame(frame);
    const settled = this.#settled;
    this.#settled = undefined;
    settled?.();
  }

  #finish(
    operation: AnyOperation,
    request: Request,
    { reply, result }: { readonly reply: Reply; readonly result: unknown },
  ): void {
    if (typeof result === "number" && !(result >= 0)) {
      this.#fail(reply, request.unique, result);
      return;
    }
    reply.begin(request.unique, 0);
    let data: Uint8Array | undefined;
    try {
      data = operation.encode(reply, result, request);
    } catch (error) {
      this.#fail(reply, request.unique, this.#errnoOf(error, operation.name));
      return;
    }
    if (data !== undefined && data.length <= COPY_BYTES && reply.bodyBytes + data.length <= reply.capacityBytes) {
      reply.copy(data, reply.bodyBytes);
      reply.bodyBytes += data.length;
      data = undefined;
    }
    reply.end(data === undefined ? 0 : data.length);
    if (!this.#port.send(reply, data)) operation.undo?.(this.#fileSystem, result, request);
  }

  #fail(reply: Reply, unique: number, errno: number): void {
    reply.begin(unique, Number.isInteger(errno) && errno >= LOWEST_ERRNO ? errno : Errno.EIO);
    reply.end(0);
    this.#port.send(reply, undefined);
  }

  #errnoOf(error: unknown, operation: string): number {
    const errno = findErrno(error);
    if (errno !== undefined) return errno;
    const message = error instanceof Error ? error.message : String(error);
    this.#port.onProblem(
      new FuseError("FileSystemFailed", `The file system failed in ${operation}, so the caller got EIO: ${message}.`, {
        cause: error,
      }),
    );
    return Errno.EIO;
  }

  /** What is about the session itself, or is not answered. */
  #special(frame: Frame): Outcome {
    switch (frame.opcode) {
      case Opcode.FORGET:
        frame.require(ForgetIn.sizeBytes);
        this.#fileSystem.forget?.(frame.inode, frame.id(ForgetIn.at.nlookup));
        return "done";
      case Opcode.BATCH_FORGET:
        this.#forgetMany(frame);
        return "done";
      case Opcode.INIT:
        this.#initialize(frame);
        return "done";
      case Opcode.INTERRUPT:
        return this.#interrupt(frame);
      case Opcode.DESTROY:
        this.#reply.begin(frame.unique, 0);
        this.#reply.end(0);
        this.#port.send(this.#reply, undefined);
        return "done";
      case Opcode.NOTIFY_REPLY: {
        frame.require(NotifyRetrieveIn.sizeBytes);
        const sizeBytes = frame.u32(NotifyRetrieveIn.at.size);
        this.#port.onRetrieved(frame.unique, Buffer.from(frame.data(NotifyRetrieveIn.sizeBytes, sizeBytes)));
        return "done";
      }
      default:
        this.#fail(this.#reply, frame.unique, Errno.ENOSYS);
        return "done";
    }
  }

  #forgetMany(frame: Frame): void {
    frame.require(BatchForgetIn.sizeBytes);
    const count = frame.u32(BatchForgetIn.at.count);
    frame.require(BatchForgetIn.sizeBytes + count * ForgetOne.sizeBytes);
    for (let index = 0; index < count; index += 1) {
      const at = BatchForgetIn.sizeBytes + index * ForgetOne.sizeBytes;
      this.#fileSystem.forget?.(frame.id(at + ForgetOne.at.nodeid), frame.id(at + ForgetOne.at.nlookup));
    }
  }

  /** A request that is not known here is in another thread, or has been answered. In the first case the kernel has to ask again. */
  #interrupt(frame: Frame): Outcome {
    frame.require(InterruptIn.sizeBytes);
    const request = this.#pending.get(frame.id(InterruptIn.at.unique));
    if (request === undefined) return "deferred";
    request.interrupt();
    return "done";
  }

  /** Answers an interrupt that no thread had a request for. */
  refuseInterrupt(frame: Frame): void {
    this.#fail(this.#reply, frame.unique, Errno.EAGAIN);
  }

  /** Answers a request that was deferred, in a session without anybody to defer to. */
  refuse(frame: Frame): void {
    this.#fail(this.#reply, frame.unique, Errno.ENOSYS);
  }

  #initialize(frame: Frame): void {
    const reply = this.#reply;
    reply.begin(frame.unique, 0);
    let negotiated: Negotiated | undefined;
    try {
      const hasLocks = this.#fileSystem.setlk !== undefined;
      negotiated = negotiate(frame, reply, { features: this.#features, hasLocks });
    } catch (error) {
      this.#fail(reply, frame.unique, Errno.EPROTO);
      throw error;
    }
    if (negotiated !== undefined) {
      this.#negotiated = negotiated;
      this.#port.onNegotiated(negotiated);
    }
    reply.end(0);
    this.#port.send(reply, undefined);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { readonly then?: unknown }).then === "function"
  );
}

function asFuseError(error: unknown): FuseError {
  if (error instanceof FuseError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new FuseError("FileSystemFailed", `An answer could not be sent: ${message}.`, { cause: error });
}
