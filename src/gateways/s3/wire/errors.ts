import { GfsError, type ErrorCode } from "../../../core/errors.ts";

/** An error with a code of S3's own, where the table of codes has none that says it. It travels as a `GfsError`. */
export function s3Error(
  code: ErrorCode,
  s3: string,
  message: string,
  context: Readonly<Record<string, unknown>> = {},
): GfsError {
  return new GfsError(code, message, { op: "s3", context: { ...context, s3 } });
}

export function notImplemented(what: string, context: Readonly<Record<string, unknown>> = {}): GfsError {
  return new GfsError("Unsupported", what, { op: "s3", context: { ...context, s3: "NotImplemented" } });
}
