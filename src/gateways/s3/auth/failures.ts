import type { GfsError } from "../../../core/errors.ts";
import { s3Error } from "../wire/errors.ts";

/** What S3 says of requests whose signature or body does not hold. None of them tells a secret or what would have been right. */

export function signatureDoesNotMatch(accessKeyId: string): GfsError {
  return s3Error(
    "PermissionDenied",
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    { accessKeyId },
  );
}

export function invalidAccessKeyId(accessKeyId: string): GfsError {
  return s3Error(
    "PermissionDenied",
    "InvalidAccessKeyId",
    "The AWS Access Key Id you provided does not exist in our records.",
    { accessKeyId: accessKeyId.slice(0, 128) },
  );
}

export function requestTimeTooSkewed(requestMs: number, serverMs: number): GfsError {
  return s3Error(
    "PermissionDenied",
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large; set the clock of the client.",
    {
      requestTime: new Date(requestMs).toISOString(),
      serverTime: new Date(serverMs).toISOString(),
      maxAllowedSkewMilliseconds: "900000",
    },
  );
}

export function denied(message: string, context: Readonly<Record<string, unknown>> = {}): GfsError {
  return s3Error("PermissionDenied", "AccessDenied", message, context);
}

export function noDate(): GfsError {
  return denied("AWS authentication requires a valid Date or x-amz-date header");
}

export function headerMalformed(message: string, context: Readonly<Record<string, unknown>> = {}): GfsError {
  return s3Error(
    "InvalidArgument",
    "AuthorizationHeaderMalformed",
    `The authorization header is malformed; ${message}`,
    context,
  );
}

export function queryMalformed(message: string, context: Readonly<Record<string, unknown>> = {}): GfsError {
  return s3Error("InvalidArgument", "AuthorizationQueryParametersError", message, context);
}

/** Of an address that was never good for anything, however well it is signed. */
export function neverValid(message: string): GfsError {
  return s3Error("PermissionDenied", "AuthorizationQueryParametersError", message);
}

export function invalidRequest(message: string): GfsError {
  return s3Error("InvalidArgument", "InvalidRequest", message);
}

export function invalidArgument(message: string, name: string, value: string): GfsError {
  return s3Error("InvalidArgument", "InvalidArgument", message, {
    argumentName: name,
    argumentValue: value.slice(0, 256),
  });
}

export function invalidToken(): GfsError {
  return s3Error("InvalidArgument", "InvalidToken", "The provided token is malformed or otherwise invalid.");
}

export function expiredToken(): GfsError {
  return s3Error("InvalidArgument", "ExpiredToken", "The provided token has expired; ask for a new access key.");
}

export function invalidDigest(): GfsError {
  return s3Error("InvalidArgument", "InvalidDigest", "The Content-MD5 you specified is not valid.");
}

export function badDigest(what: string): GfsError {
  return s3Error(
    "ChecksumMismatch",
    "BadDigest",
    `The ${what} you specified did not match the calculated checksum; send the body again.`,
  );
}

export function malformedChecksum(header: string): GfsError {
  return s3Error("InvalidArgument", "BadDigest", `Value for ${header} header is invalid.`);
}

export function otherChecksum(): GfsError {
  return s3Error(
    "InvalidArgument",
    "BadDigest",
    "Value for x-amz-sdk-checksum-algorithm header is invalid: the checksum that came is another.",
  );
}

export function contentSha256Mismatch(): GfsError {
  return s3Error(
    "ChecksumMismatch",
    "XAmzContentSHA256Mismatch",
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
  );
}

export function incompleteBody(message: string): GfsError {
  return s3Error("IncompleteBody", "IncompleteBody", message);
}

export function missingContentLength(message: string): GfsError {
  return s3Error("LengthRequired", "MissingContentLength", message);
}

export function malformedTrailer(message: string): GfsError {
  return s3Error("InvalidArgument", "MalformedTrailerError", message);
}

/** To requests with Signature Version 2, where the operator has not asked for it. */
export function onlySignatureV4(): GfsError {
  return invalidRequest(
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 (Signature Version 4).",
  );
}
