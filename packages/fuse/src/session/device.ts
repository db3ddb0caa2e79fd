import { readSync, writeSync, writevSync } from "node:fs";
import { FuseError, type FuseErrorCode } from "../protocol/errors.ts";
import type { Reply } from "../protocol/reply.ts";

/** What a read of the device came to, besides a number of bytes. */
export const DEVICE_ENDED = -1;
export const DEVICE_AGAIN = -2;
/** Nothing is mounted yet. */
export const DEVICE_UNMOUNTED = -3;

/**
 * Reads one request, and blocks until there is one. ENOENT is a request that was interrupted before it was read, and EINTR a signal: both
 * mean "read on". ENODEV is the end by unmounting, ECONNABORTED the end by force.
 */
export function readRequest(descriptor: number, into: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, into, 0, into.length, null);
    } catch (error) {
      const meaning = meaningOfReadError(error);
      if (meaning !== undefined) return meaning;
    }
  }
}

/** What an error of a read means; undefined for "read on". */
export function meaningOfReadError(error: unknown): number | undefined {
  switch ((error as { readonly code?: unknown }).code) {
    case "EINTR":
    case "ENOENT":
      return undefined;
    case "EAGAIN":
      return DEVICE_AGAIN;
    case "EPERM":
      return DEVICE_UNMOUNTED;
    case "ENODEV":
    case "ECONNABORTED":
    case "EBADF":
      return DEVICE_ENDED;
    default:
      throw new FuseError(
        "Closed",
        `The kernel cannot be read from: ${(error as Error).message}. The file system is unmounted; mount it again.`,
        { cause: error },
      );
  }
}

/** Sends a reply. False if the kernel no longer wants it: the caller was killed, or the file system was unmounted meanwhile. */
export function writeReply(descriptor: number, reply: Reply, data: Uint8Array | undefined): boolean {
  try {
    if (data === undefined) writeSync(descriptor, reply.bytes, 0, reply.lengthBytes);
    else writevSync(descriptor, [reply.bytes.subarray(0, reply.lengthBytes), data]);
    return true;
  } catch (error) {
    switch ((error as { readonly code?: unknown }).code) {
      case "ENOENT":
      case "ENODEV":
      case "ECONNABORTED":
      case "EBADF":
      case "EPERM":
        return false;
      default:
        throw new FuseError(
          "FileSystemFailed",
          `The kernel refused an answer: ${(error as Error).message}. The caller still waits for it.`,
          { cause: error },
        );
    }
  }
}

/** What the errors of notifications mean, as far as there is something to say. */
const NOTIFICATION_REFUSALS: Readonly<Record<string, string>> = {
  EINVAL: "this kernel does not know it",
  ENOSYS: "this kernel does not know it",
  ENOTEMPTY: "the directory is not empty",
  EBUSY: "something is mounted there",
};

/**
 * Sends a notification. `taken` is false if the kernel knows nothing of what it is about, or the file system is unmounted; `failure` says why it was
 * refused otherwise.
 */
export function writeNotification(
  descriptor: number,
  bytes: Uint8Array,
): {
  readonly taken: boolean;
  readonly failure: { readonly code: FuseErrorCode; readonly message: string } | undefined;
} {
  try {
    writeSync(descriptor, bytes, 0, bytes.length);
    return { taken: true, failure: undefined };
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ENOTDIR", "ENODEV", "ECONNABORTED"].includes(code)) return { taken: false, failure: undefined };
    const reason = NOTIFICATION_REFUSALS[code] ?? message;
    return {
      taken: false,
      failure: { code: "Unsupported", message: `The kernel did not take a notification: ${reason}.` },
    };
  }
}
