import type { ServerResponse } from "node:http";
import { type ErrorCode, type GfsError, toGfsError } from "../../core/errors.ts";
import type { Logger } from "../../core/ports/log.ts";

/** How an error looks from outside: a sentence, a code and the request's id. Nothing of what is inside. */
export interface ErrorBody {
  readonly error: string;
  readonly code: ErrorCode;
  readonly request_id: string;
}

/** Failures whose text may speak of our inside. */
const HIDDEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["Internal"]);

export function describeError(
  error: unknown,
  requestId: string,
  log: Logger,
): { readonly failure: GfsError; readonly body: ErrorBody } {
  const failure = toGfsError(error);
  const hidden = HIDDEN.has(failure.code);
  if (failure.meaning.log === "error") {
    log.error("request_error", {
      requestId,
      code: failure.code,
      op: failure.op,
      error: failure.message,
      context: failure.context,
      stack: hidden ? failure.stack : undefined,
    });
  }
  return {
    failure,
    body: {
      error: hidden
        ? `The coordinator failed unexpectedly; its log tells more under request ${requestId}.`
        : failure.message,
      code: failure.code,
      request_id: requestId,
    },
  };
}

export function errorHeaders(failure: GfsError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (failure.retryAfterMs !== undefined)
    headers["Retry-After"] = String(Math.max(1, Math.ceil(failure.retryAfterMs / 1_000)));
  else if (failure.code === "Overloaded" || failure.code === "Unavailable") headers["Retry-After"] = "1";
  if (failure.code === "Unauthenticated") headers["WWW-Authenticate"] = 'ApiKey realm="globalfs"';
  return headers;
}

export function sendError(
  response: ServerResponse,
  failure: GfsError,
  body: ErrorBody,
  options: { readonly head: boolean; readonly extra?: Record<string, string> },
): void {
  if (response.headersSent) {
    // The status has gone out: only breaking the connection tells that the body is not whole.
    response.destroy();
    return;
  }
  const text = JSON.stringify(body);
  response.writeHead(failure.meaning.http, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    "X-Request-ID": body.request_id,
    "X-Content-Type-Options": "nosniff",
    ...errorHeaders(failure),
    ...options.extra,
  });
  response.end(options.head ? undefined : text);
}
