/**
 * The one error type and the one table that says what each code means at every edge.
 *
 * Drivers translate foreign errors into a `GfsError` where they meet them; gateways translate a `GfsError` outwards
 * through `ERROR_CODES`. Nobody parses messages.
 */

/** Whether the same request may be sent again: `safe` even for writes, `exhausted` when retries were already spent. */
export type Retry = "never" | "safe" | "exhausted";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface ErrorMeaning {
  readonly http: number;
  readonly s3: string;
  readonly grpc: string;
  readonly errno: string;
  readonly exit: number;
  readonly log: LogLevel;
}

/** Exit codes of the CLI, documented in docs/reference/exit-codes.md. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  unavailable: 3,
  notFound: 4,
  denied: 5,
  conflict: 6,
  partial: 7,
  interrupted: 130,
} as const;

function meaning(http: number, s3: string, grpc: string, errno: string, exit: number, log: LogLevel): ErrorMeaning {
  return { http, s3, grpc, errno, exit, log };
}

export const ERROR_CODES = {
  InvalidArgument: meaning(400, "InvalidArgument", "INVALID_ARGUMENT", "EINVAL", EXIT.usage, "info"),
  InvalidKey: meaning(400, "InvalidURI", "INVALID_ARGUMENT", "EINVAL", EXIT.usage, "info"),
  KeyTooLong: meaning(400, "KeyTooLongError", "INVALID_ARGUMENT", "ENAMETOOLONG", EXIT.usage, "info"),
  ConfigInvalid: meaning(400, "InvalidArgument", "INVALID_ARGUMENT", "EINVAL", EXIT.usage, "error"),
  ChecksumMismatch: meaning(400, "BadDigest", "DATA_LOSS", "EIO", EXIT.failure, "warn"),
  IncompleteBody: meaning(400, "IncompleteBody", "INVALID_ARGUMENT", "EIO", EXIT.failure, "info"),
  Unauthenticated: meaning(401, "AccessDenied", "UNAUTHENTICATED", "EACCES", EXIT.denied, "warn"),
  PermissionDenied: meaning(403, "AccessDenied", "PERMISSION_DENIED", "EACCES", EXIT.denied, "warn"),
  NotPermitted: meaning(403, "AccessDenied", "PERMISSION_DENIED", "EPERM", EXIT.denied, "info"),
  ReadOnly: meaning(403, "AccessDenied", "FAILED_PRECONDITION", "EROFS", EXIT.denied, "warn"),
  NotFound: meaning(404, "NoSuchKey", "NOT_FOUND", "ENOENT", EXIT.notFound, "debug"),
  NoAttribute: meaning(404, "InvalidRequest", "NOT_FOUND", "ENODATA", EXIT.notFound, "debug"),
  MethodNotAllowed: meaning(405, "MethodNotAllowed", "UNIMPLEMENTED", "EPERM", EXIT.usage, "info"),
  AlreadyExists: meaning(409, "OperationAborted", "ALREADY_EXISTS", "EEXIST", EXIT.conflict, "info"),
  Conflict: meaning(409, "OperationAborted", "ABORTED", "EAGAIN", EXIT.conflict, "info"),
  StaleEpoch: meaning(409, "OperationAborted", "ABORTED", "ESTALE", EXIT.conflict, "warn"),
  NotADirectory: meaning(409, "InvalidRequest", "FAILED_PRECONDITION", "ENOTDIR", EXIT.conflict, "info"),
  IsADirectory: meaning(409, "InvalidRequest", "FAILED_PRECONDITION", "EISDIR", EXIT.conflict, "info"),
  NotEmpty: meaning(409, "InvalidRequest", "FAILED_PRECONDITION", "ENOTEMPTY", EXIT.conflict, "info"),
  TooManyLinks: meaning(409, "InvalidRequest", "FAILED_PRECONDITION", "EMLINK", EXIT.conflict, "info"),
  LoopDetected: meaning(409, "InvalidRequest", "FAILED_PRECONDITION", "ELOOP", EXIT.conflict, "info"),
  Deadlock: meaning(409, "OperationAborted", "ABORTED", "EDEADLK", EXIT.conflict, "info"),
  LengthRequired: meaning(411, "MissingContentLength", "INVALID_ARGUMENT", "EINVAL", EXIT.usage, "info"),
  PreconditionFailed: meaning(412, "PreconditionFailed", "FAILED_PRECONDITION", "ESTALE", EXIT.conflict, "info"),
  TooLarge: meaning(413, "EntityTooLarge", "OUT_OF_RANGE", "EFBIG", EXIT.usage, "info"),
  RangeNotSatisfiable: meaning(416, "InvalidRange", "OUT_OF_RANGE", "EINVAL", EXIT.usage, "info"),
  Canceled: meaning(499, "RequestTimeout", "CANCELLED", "EINTR", EXIT.interrupted, "debug"),
  Internal: meaning(500, "InternalError", "INTERNAL", "EIO", EXIT.failure, "error"),
  DataCorrupt: meaning(500, "InternalError", "DATA_LOSS", "EIO", EXIT.failure, "error"),
  Unsupported: meaning(501, "NotImplemented", "UNIMPLEMENTED", "ENOTSUP", EXIT.usage, "info"),
  Overloaded: meaning(503, "SlowDown", "RESOURCE_EXHAUSTED", "EAGAIN", EXIT.unavailable, "warn"),
  Unavailable: meaning(503, "ServiceUnavailable", "UNAVAILABLE", "EIO", EXIT.unavailable, "warn"),
  NoLocks: meaning(503, "SlowDown", "RESOURCE_EXHAUSTED", "ENOLCK", EXIT.unavailable, "warn"),
  Timeout: meaning(504, "RequestTimeout", "DEADLINE_EXCEEDED", "ETIMEDOUT", EXIT.unavailable, "warn"),
  QuotaExceeded: meaning(507, "QuotaExceeded", "RESOURCE_EXHAUSTED", "EDQUOT", EXIT.unavailable, "info"),
  NoSpace: meaning(507, "InsufficientStorage", "RESOURCE_EXHAUSTED", "ENOSPC", EXIT.unavailable, "error"),
} as const satisfies Record<string, ErrorMeaning>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface GfsErrorDetail {
  /** The operation that failed, such as `store.put` or `namespace.rename`. */
  readonly op?: string;
  readonly retry?: Retry;
  /** Facts for the log and for `--json`; never secrets, never bytes of the object. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** After how long a retry is worth it; becomes `Retry-After`. */
  readonly retryAfterMs?: number;
}

/** The message is one sentence for the person who sees it, and says what to do when there is something to do. */
export class GfsError extends Error {
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly op: string | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: GfsErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "GfsError";
    this.code = code;
    this.retry = detail.retry ?? DEFAULT_RETRY[code] ?? "never";
    this.op = detail.op;
    this.context = detail.context ?? {};
    this.retryAfterMs = detail.retryAfterMs;
  }

  get meaning(): ErrorMeaning {
    return ERROR_CODES[this.code];
  }
}

const DEFAULT_RETRY: Partial<Record<ErrorCode, Retry>> = {
  Unavailable: "safe",
  Timeout: "safe",
  Overloaded: "safe",
  Conflict: "safe",
};

export function isGfsError(error: unknown, ...codes: ErrorCode[]): error is GfsError {
  return error instanceof GfsError && (codes.length === 0 || codes.includes(error.code));
}

/** Every error that leaves a room passes here once, so that the outside sees codes and never stray exceptions. */
export function toGfsError(error: unknown, op?: string): GfsError {
  if (error instanceof GfsError) return error;
  const detail = op === undefined ? { cause: error } : { cause: error, op };
  if (isAbort(error)) return new GfsError("Canceled", "The operation was canceled.", detail);
  const message = error instanceof Error ? error.message : String(error);
  return new GfsError("Internal", `Unexpected failure: ${message}`, detail);
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || (error as { code?: unknown }).code === "ABORT_ERR");
}

/** Translates the errno of a Node system error. Drivers that touch disks use it at their edge. */
export function fromErrno(error: unknown, op: string, context: Readonly<Record<string, unknown>> = {}): GfsError {
  if (error instanceof GfsError) return error;
  const errno = (error as { code?: unknown } | null)?.code;
  const code = typeof errno === "string" ? ERRNO_TO_CODE[errno] : undefined;
  if (code === undefined) return toGfsError(error, op);
  return new GfsError(code, ERRNO_SENTENCE[errno as string] ?? `The disk answered ${String(errno)}.`, {
    op,
    context,
    cause: error,
  });
}

const ERRNO_TO_CODE: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  EROFS: "ReadOnly",
  ENOSPC: "NoSpace",
  EDQUOT: "NoSpace",
  EFBIG: "TooLarge",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  ENOTEMPTY: "NotEmpty",
  EMLINK: "TooManyLinks",
  ELOOP: "LoopDetected",
  ENAMETOOLONG: "KeyTooLong",
  EMFILE: "Overloaded",
  ENFILE: "Overloaded",
  EBUSY: "Unavailable",
  EIO: "Unavailable",
  ESTALE: "Unavailable",
  ENODEV: "Unavailable",
  ENXIO: "Unavailable",
  ETIMEDOUT: "Timeout",
};

const ERRNO_SENTENCE: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory.",
  EACCES: "The process may not touch this path; check the owner and mode of the directory.",
  EPERM: "The process may not touch this path; check the owner and mode of the directory.",
  EROFS: "The disk is mounted read-only; mount it read-write or choose another directory.",
  ENOSPC: "The disk is full; free some space or choose another directory.",
  EDQUOT: "The disk quota is used up; raise it or choose another directory.",
  ELOOP: "A symbolic link is on the way, and none is followed here; name the directory that it leads to.",
  EMFILE: "Too many files are open; raise the limit with `ulimit -n`.",
  EIO: "The disk failed to read or write; check it with the kernel log.",
};
