import { ERROR_CODES, EXIT, isAbort, isGfsError } from "../core/errors.ts";
import { BrokenPipe } from "./terminal.ts";

/** What is said of an error, and the exit code. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** What to do about it, when the message does not say. */
  readonly hint?: string;
  readonly requestId?: string;
  readonly exit: number;
}

/** A command line that makes no sense. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** The answer was given, and lacks something. */
export class PartialError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PartialError";
  }
}

/** What no coordinator answers, with its exit code. */
export const OWN_CODES = {
  Usage: EXIT.usage,
  Partial: EXIT.partial,
  Unreachable: EXIT.unavailable,
  BrokenStream: EXIT.unavailable,
  /** As shells report a process that SIGPIPE ended. */
  BrokenPipe: 141,
} as const;

function ownFailure(code: keyof typeof OWN_CODES, message: string): Failure {
  return { code, message, exit: OWN_CODES[code] };
}

export function failureOf(error: unknown): Failure {
  if (error instanceof BrokenPipe) return ownFailure("BrokenPipe", "");
  if (error instanceof UsageError) return ownFailure("Usage", error.message);
  if (error instanceof PartialError) return ownFailure("Partial", error.message);
  if (isGfsError(error)) return { code: error.code, message: error.message, exit: error.meaning.exit };
  if (isClientError(error)) return failureOfClient(error);
  if (isAbort(error)) return { code: "Canceled", message: "Stopped.", exit: EXIT.interrupted };
  const { code, path, message } = error as { code?: unknown; path?: unknown; message?: unknown };
  if (typeof code === "string" && typeof path === "string") return failureOfFile(code, path);
  return { code: "Internal", message: `Unexpected failure: ${String(message ?? error)}`, exit: EXIT.failure };
}

interface ClientError {
  readonly code: string;
  readonly message: string;
  readonly requestId?: string;
}

/** By name and not by class: the client is loaded only by commands that need it. */
function isClientError(error: unknown): error is ClientError {
  return error instanceof Error && error.name === "GlobalFsError";
}

function failureOfClient({ code, message, requestId }: ClientError): Failure {
  const hint = hintOf(code);
  return {
    code,
    message,
    exit: exitOfCode(code),
    ...(hint === undefined ? {} : { hint }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

function exitOfCode(code: string): number {
  if (Object.hasOwn(ERROR_CODES, code)) return ERROR_CODES[code as keyof typeof ERROR_CODES].exit;
  return Object.hasOwn(OWN_CODES, code) ? OWN_CODES[code as keyof typeof OWN_CODES] : EXIT.failure;
}

function hintOf(code: string): string | undefined {
  if (code === "Unreachable") {
    return "Is it running? Start it with `globalfs up`, or name another one with --coordinator-addr or GLOBALFS_COORDINATOR.";
  }
  if (code === "Unauthenticated")
    return "Give the API key with --api-key or GLOBALFS_API_KEY, or run the command where `globalfs up` left its `.globalfs/rest.env`.";
  return undefined;
}

/** What is said of a local file, and the exit code, by the code of the system call. */
export const FILE_SENTENCES: Readonly<Record<string, readonly [string, number]>> = {
  ENOENT: ["there is no such file or directory", EXIT.notFound],
  EACCES: ["you may not touch it", EXIT.denied],
  EPERM: ["you may not touch it", EXIT.denied],
  EEXIST: ["it exists already", EXIT.conflict],
  EISDIR: ["it is a directory", EXIT.usage],
  ENOTDIR: ["a part of the path is no directory", EXIT.usage],
  ENAMETOOLONG: ["its name is too long for this disk", EXIT.usage],
  EROFS: ["the disk can only be read", EXIT.denied],
  ENOSPC: ["the disk is full", EXIT.failure],
  EDQUOT: ["your quota of the disk is used up", EXIT.failure],
};

function failureOfFile(code: string, path: string): Failure {
  const [sentence, exit] = FILE_SENTENCES[code] ?? [`the disk answered ${code}`, EXIT.failure];
  return { code, message: `${path}: ${sentence}.`, exit };
}
