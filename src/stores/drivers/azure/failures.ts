/** What an error of the Azure SDK means here. */
import { type ErrorCode, GfsError, isAbort } from "../../../core/errors.ts";

/** A map: a code is whatever the other side sends, and every plain object answers to `constructor`. */
const BY_CODE: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries<ErrorCode>({
    BlobNotFound: "NotFound",
    ResourceNotFound: "NotFound",
    ContainerNotFound: "ConfigInvalid",
    ContainerBeingDeleted: "ConfigInvalid",
    AccountIsDisabled: "PermissionDenied",
    BlobAlreadyExists: "PreconditionFailed",
    ConditionNotMet: "PreconditionFailed",
    SourceConditionNotMet: "PreconditionFailed",
    TargetConditionNotMet: "PreconditionFailed",
    CannotVerifyCopySource: "NotFound",
    AuthenticationFailed: "Unauthenticated",
    InvalidAuthenticationInfo: "Unauthenticated",
    NoAuthenticationInformation: "Unauthenticated",
    AuthorizationFailure: "PermissionDenied",
    AuthorizationPermissionMismatch: "PermissionDenied",
    AuthorizationSourceIPMismatch: "PermissionDenied",
    InsufficientAccountPermissions: "PermissionDenied",
    Md5Mismatch: "ChecksumMismatch",
    Crc64Mismatch: "ChecksumMismatch",
    InvalidMd5: "ChecksumMismatch",
    InvalidRange: "RangeNotSatisfiable",
    InvalidBlobOrBlock: "Conflict",
    InvalidBlockList: "Conflict",
    MetadataTooLarge: "InvalidArgument",
    RequestBodyTooLarge: "TooLarge",
    InvalidUri: "InvalidKey",
    InvalidResourceName: "InvalidKey",
    LeaseIdMissing: "Conflict",
    ServerBusy: "Overloaded",
    InternalError: "Unavailable",
    OperationTimedOut: "Timeout",
    AccountBeingCreated: "Unavailable",
    BlobArchived: "Unavailable",
    BlobBeingRehydrated: "Unavailable",
  }),
);

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "InvalidArgument",
  401: "Unauthenticated",
  403: "PermissionDenied",
  404: "NotFound",
  408: "Timeout",
  409: "Conflict",
  412: "PreconditionFailed",
  413: "TooLarge",
  416: "RangeNotSatisfiable",
  429: "Overloaded",
  501: "Unsupported",
  504: "Timeout",
  507: "NoSpace",
};

const SENTENCE: Partial<Record<ErrorCode, string>> = {
  NotFound: "The object is not there.",
  ConfigInvalid: "The container does not exist; create it or correct its name.",
  PermissionDenied: "Azure denies access; check what the credentials may do with this container.",
  Unauthenticated: "Azure does not accept the credentials; check the account, the key or SAS, and the clock.",
  PreconditionFailed: "The object is another one by now.",
  Conflict: "Another write to the same key won; send all of it again.",
  ChecksumMismatch: "The bytes changed on their way to Azure.",
  RangeNotSatisfiable: "The range lies outside the object.",
  Overloaded: "Azure asks for fewer requests.",
  Timeout: "Azure did not answer in time.",
};

export function toAzureError(error: unknown, op: string, signal: AbortSignal): GfsError {
  if (error instanceof GfsError) return error;
  if (signal.aborted) {
    if (signal.reason instanceof GfsError) return signal.reason;
    return new GfsError("Canceled", "The operation was canceled.", { op, cause: signal.reason });
  }
  // Nobody gave up: it is what the SDK calls a connection that breaks in the middle of a body.
  if (isAbort(error)) {
    return new GfsError("Unavailable", "The connection to Azure broke; try again.", {
      op,
      retry: "safe",
      cause: error,
    });
  }
  const { status, code, retryAfterMs } = facts(error);
  const context = { status, azureCode: code };
  const detail = { op, cause: error, context, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (code === "BlobArchived" || code === "BlobBeingRehydrated") {
    return new GfsError("Unavailable", "The object lies in the archive tier; rehydrate it first.", {
      ...detail,
      retry: "never",
    });
  }
  if (status === undefined) {
    const identity = error instanceof Error && /Credential|AuthenticationRequired/.test(error.name);
    if (identity) {
      return new GfsError(
        "Unauthenticated",
        "No Azure identity was found; give an account key or SAS, or sign in with the Azure CLI.",
        detail,
      );
    }
    return new GfsError(
      "Unavailable",
      "The blob service can not be reached; check the address and the network.",
      detail,
    );
  }
  const meant = BY_CODE.get(code ?? "") ?? BY_STATUS[status] ?? (status >= 500 ? "Unavailable" : "InvalidArgument");
  const sentence = SENTENCE[meant] ?? `Azure answered ${code ?? "an error"} with status ${status}.`;
  return new GfsError(meant, sentence, meant === "Conflict" ? { ...detail, retry: "never" } : detail);
}

function facts(error: unknown): { status?: number; code?: string; retryAfterMs?: number } {
  const { statusCode, code, details, response } = error as {
    statusCode?: unknown;
    code?: unknown;
    details?: { errorCode?: unknown; code?: unknown };
    response?: { headers?: { get(name: string): string | undefined } };
  };
  const named = [details?.errorCode, details?.code, response?.headers?.get("x-ms-error-code"), code].find(
    (one) => typeof one === "string" && one !== "",
  );
  const retryAfterSeconds = Number(response?.headers?.get("retry-after") ?? Number.NaN);
  return {
    ...(typeof statusCode === "number" ? { status: statusCode } : {}),
    ...(typeof named === "string" ? { code: named } : {}),
    ...(Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1_000 } : {}),
  };
}
