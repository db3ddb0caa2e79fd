import { Errno } from "../protocol/errors.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Request } from "../protocol/request.ts";
import type { Answer, FileSystem } from "./file-system.ts";

/** How one operation of the kernel is read, carried out and answered. */
export interface Operation<R extends Request, T> {
  readonly name: string;
  /** The reply is built by the file system itself, in memory that stays its own until a promise settles. */
  readonly fillsReply?: boolean;
  /** The request carries data in the frame, which stays its own until a promise settles. */
  readonly keepsFrame?: boolean;
  create(): R;
  /** Called once for a request and the reply that it will be answered in, before `call`. */
  prepare?(request: R, reply: Reply): void;
  call(fileSystem: FileSystem, request: R): Answer<T>;
  /** Builds the body, and returns the bytes that are to be sent behind it, if any. */
  encode(reply: Reply, value: T, request: R): Uint8Array | undefined;
  /** The kernel did not take the answer, as the caller was killed: what was counted or opened for it is given back. */
  undo?(fileSystem: FileSystem, value: T, request: R): void;
}

export type AnyOperation = Operation<Request, unknown>;

/** The table holds operations of all types; each one only ever meets requests that it made itself. */
export function operation<R extends Request, T>(definition: Operation<R, T>): AnyOperation {
  return definition;
}

export function encodeNothing(): undefined {
  return undefined;
}

/** An operation that the file system does not have. */
export const MISSING = Errno.ENOSYS;
