/** What an S3 error or a broken connection means here. */
import { type ErrorCode, GfsError, isAbort } from "../../../core/errors.ts";
import { childText, type XmlElement } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

export interface S3Failure {
  readonly op: string;
  readonly status: number;
  /** S3's own code, when the answer had a body to carry it. */
  readonly code?: string;
  readonly message?: string;
  readonly region?: string;
  readonly requestId?: string;
  readonly retryAfterMs?: number;
}

/** A map: a code is whatever the other side sends, and every plain object answers to `constructor`. */
const BY_CODE: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries<ErrorCode>({
    AccessDenied: "PermissionDenied",
    AllAccessDisabled: "PermissionDenied",
    AccountProblem: "PermissionDenied",
    InvalidAccessKeyId: "Unauthenticated",
    SignatureDoesNotMatch: "Unauthenticated",
    ExpiredToken: "Unauthenticated",
    InvalidToken: "Unauthenticated",
    TokenRefreshRequired: "Unauthenticated",
    RequestTimeTooSkewed: "Unauthenticated",
    AuthorizationHeaderMalformed: "Unauthenticated",
    NoSuchKey: "NotFound",
    NoSuchUpload: "NotFound",
    NoSuchVersion: "NotFound",
    NoSuchBucket: "ConfigInvalid",
    InvalidBucketName: "ConfigInvalid",
    PermanentRedirect: "ConfigInvalid",
    TemporaryRedirect: "Unavailable",
    PreconditionFailed: "PreconditionFailed",
    ConditionalRequestConflict: "Conflict",
    OperationAborted: "Conflict",
    InvalidRange: "RangeNotSatisfiable",
    BadDigest: "ChecksumMismatch",
    InvalidDigest: "ChecksumMismatch",
    XAmzContentSHA256Mismatch: "ChecksumMismatch",
    XAmzContentChecksumMismatch: "ChecksumMismatch",
    IncompleteBody: "IncompleteBody",
    EntityTooLarge: "TooLarge",
    EntityTooSmall: "InvalidArgument",
    InvalidPart: "InvalidArgument",
    InvalidPartOrder: "InvalidArgument",
    MetadataTooLarge: "InvalidArgument",
    KeyTooLongError: "KeyTooLong",
    InvalidURI: "InvalidKey",
    MethodNotAllowed: "MethodNotAllowed",
    NotImplemented: "Unsupported",
    SlowDown: "Overloaded",
    TooManyRequests: "Overloaded",
    RequestLimitExceeded: "Overloaded",
    Throttling: "Overloaded",
    ThrottlingException: "Overloaded",
    QuotaExceeded: "NoSpace",
    XMinioStorageFull: "NoSpace",
    RequestTimeout: "Timeout",
    InternalError: "Unavailable",
    ServiceUnavailable: "Unavailable",
  }),
);

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  301: "ConfigInvalid",
  304: "PreconditionFailed",
  307: "Unavailable",
  400: "InvalidArgument",
  401: "Unauthenticated",
  403: "PermissionDenied",
  404: "NotFound",
  405: "MethodNotAllowed",
  408: "Timeout",
  409: "Conflict",
  411: "LengthRequired",
  412: "PreconditionFailed",
  413: "TooLarge",
  416: "RangeNotSatisfiable",
  429: "Overloaded",
  501: "Unsupported",
  504: "Timeout",
  507: "NoSpace",
};

const SENTENCE: Partial<Record<ErrorCode, string>> = {
  PermissionDenied: "The S3 endpoint denies access; check what the credentials may do with this bucket.",
  Unauthenticated:
    "The S3 endpoint does not accept the credentials; check the access key, the secret and the session token.",
  NotFound: "The object is not there.",
  PreconditionFailed: "The object is another one by now.",
  Conflict: "Another write to the same key is under way; try again.",
  RangeNotSatisfiable: "The range lies outside the object.",
  ChecksumMismatch: "The bytes changed on their way to the S3 endpoint.",
  IncompleteBody: "The S3 endpoint did not receive all the bytes.",
  Overloaded: "The S3 endpoint asks for fewer requests.",
  NoSpace: "The S3 endpoint has no space left, or the quota is used up.",
  Timeout: "The S3 endpoint did not answer in time.",
};

export function failureFrom(
  op: string,
  status: number,
  body: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): S3Failure {
  const element = body === "" ? undefined : parseErrorDocument(body);
  const code = element && childText(element, "Code");
  const message = element && childText(element, "Message");
  const region = one(headers["x-amz-bucket-region"]) ?? (element && childText(element, "Region"));
  const requestId = one(headers["x-amz-request-id"]);
  const retryAfterSeconds = Number(one(headers["retry-after"]) ?? Number.NaN);
  return {
    op,
    status,
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message }),
    ...(region === undefined ? {} : { region }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1_000 } : {}),
  };
}

/** An answer that claims success may hold an error inside: completing an upload and copying do that. */
export function failureInside(op: string, root: XmlElement): S3Failure | undefined {
  if (root.name !== "Error") return undefined;
  const code = childText(root, "Code") ?? "InternalError";
  const message = childText(root, "Message");
  return { op, status: 200, code, ...(message === undefined ? {} : { message }) };
}

export function toError(failure: S3Failure): GfsError {
  const { op, status, code } = failure;
  const known = BY_CODE.get(code ?? "") ?? BY_STATUS[status];
  const fallback: ErrorCode = status >= 500 || status < 300 ? "Unavailable" : "InvalidArgument";
  const context = { status, s3Code: code, s3Message: failure.message, s3RequestId: failure.requestId };
  const detail =
    failure.retryAfterMs === undefined ? { op, context } : { op, context, retryAfterMs: failure.retryAfterMs };
  if (code === "InvalidObjectState") {
    return new GfsError("Unavailable", "The object lies in an archive tier; restore it first.", {
      ...detail,
      retry: "never",
    });
  }
  if (code === "NoSuchBucket") {
    return new GfsError("ConfigInvalid", "The bucket does not exist; create it or correct its name.", detail);
  }
  const meant = known ?? fallback;
  return new GfsError(meant, SENTENCE[meant] ?? sentenceOf(failure), detail);
}

const TIMEOUTS = new Set(["UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT"]);

/** For what undici rejects with. A signal's own reason wins: it says whether someone gave up or time ran out. */
export function fromTransport(error: unknown, op: string, signal: AbortSignal): GfsError {
  if (error instanceof GfsError) return error;
  if (signal.aborted) {
    if (signal.reason instanceof GfsError) return signal.reason;
    return new GfsError("Canceled", "The operation was canceled.", { op, cause: signal.reason });
  }
  const thrown = (error as { code?: unknown } | null)?.code;
  const code = typeof thrown === "string" ? thrown : "";
  const detail = { op, cause: error, context: { errno: code } };
  if (TIMEOUTS.has(code)) return new GfsError("Timeout", "The S3 endpoint did not answer in time.", detail);
  if (code === "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH") {
    return new GfsError("IncompleteBody", "The body had another length than announced.", detail);
  }
  if (code === "UND_ERR_DESTROYED" || code === "UND_ERR_CLOSED") {
    return new GfsError("Unavailable", "The connection to the S3 endpoint was closed on this side.", {
      ...detail,
      retry: "never",
    });
  }
  if (isAbort(error) || code === "UND_ERR_ABORTED")
    return new GfsError("Canceled", "The operation was canceled.", detail);
  if (code === "ENOTFOUND") {
    return new GfsError(
      "Unavailable",
      "The name of the S3 endpoint can not be resolved; check its address and the DNS.",
      detail,
    );
  }
  if (/CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return new GfsError(
      "Unavailable",
      `The S3 endpoint's certificate is not trusted (${code}); install its authority or correct the address.`,
      {
        ...detail,
        retry: "never",
      },
    );
  }
  return new GfsError("Unavailable", "The S3 endpoint can not be reached.", detail);
}

function parseErrorDocument(body: string): XmlElement | undefined {
  try {
    const root = parseAnswer(body);
    return root.name === "Error" ? root : root.children.find((child) => child.name === "Error");
  } catch {
    // Proxies answer in HTML; the status says enough then.
    return undefined;
  }
}

function sentenceOf(failure: S3Failure): string {
  const said = [failure.code, failure.message].filter((part) => part !== undefined && part !== "").join(": ");
  return said === ""
    ? `The S3 endpoint answered with status ${failure.status}.`
    : `The S3 endpoint answered ${said.replace(/\.?$/, ".")}`;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
