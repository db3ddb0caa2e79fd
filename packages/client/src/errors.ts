/** What a failed request says. The message is one sentence for a person. */
export class GlobalFsError extends Error {
  /** As the server names it (`NotFound`, `PreconditionFailed`, ...), or `Unreachable`, `Timeout`, `Canceled`, `BrokenStream`. */
  readonly code: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Quote it when you ask the operator: the server's log has it. */
  readonly requestId: string | undefined;
  /** After how long a retry is worth it. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    message: string,
    detail: {
      status?: number;
      requestId?: string | undefined;
      retryAfterMs?: number | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "GlobalFsError";
    this.code = code;
    this.status = detail.status ?? 0;
    this.requestId = detail.requestId;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

/** For answers without a body, such as those to HEAD. */
const CODE_BY_STATUS: Readonly<Record<number, string>> = {
  400: "InvalidArgument",
  401: "Unauthenticated",
  403: "PermissionDenied",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  411: "LengthRequired",
  412: "PreconditionFailed",
  413: "TooLarge",
  416: "RangeNotSatisfiable",
  501: "Unsupported",
  503: "Unavailable",
  504: "Timeout",
  507: "NoSpace",
};

const SENTENCE_BY_STATUS: Readonly<Record<number, string>> = {
  401: "The coordinator wants an API key.",
  403: "The API key does not allow this.",
  404: "There is no such object.",
  412: "The object is not the expected version.",
  503: "The coordinator cannot serve this now.",
};

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export function header(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** Translates an answer of 400 or more; `text` is its body, as far as it was read. */
export function errorOfAnswer(answer: Answer, text: string): GlobalFsError {
  let code = CODE_BY_STATUS[answer.status] ?? "Internal";
  let message = SENTENCE_BY_STATUS[answer.status] ?? `The coordinator answered ${answer.status}.`;
  let requestId = header(answer, "x-request-id");
  try {
    const body = JSON.parse(text) as { error?: unknown; code?: unknown; request_id?: unknown };
    if (typeof body.error === "string") message = body.error;
    if (typeof body.code === "string") code = body.code;
    if (typeof body.request_id === "string") requestId = body.request_id;
  } catch {
    // Proxies answer with pages of their own; the status says enough.
  }
  return new GlobalFsError(code, message, {
    status: answer.status,
    requestId,
    retryAfterMs: parseRetryAfter(header(answer, "retry-after")),
  });
}

function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined || !/^\d{1,6}$/.test(value)) return undefined;
  return Number(value) * 1_000;
}

/** Translates what went wrong below HTTP. */
export function errorOfTransport(error: unknown, endpoint: string, signal: AbortSignal | undefined): GlobalFsError {
  if (error instanceof GlobalFsError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (signal?.aborted === true) {
    const { reason } = signal as { reason: unknown };
    if (reason instanceof GlobalFsError) return reason;
    return new GlobalFsError("Canceled", "The request was canceled.", { cause: error });
  }
  const cause = typeof code === "string" ? code : "";
  if (cause.includes("TIMEOUT")) {
    return new GlobalFsError("Timeout", `The coordinator at ${endpoint} did not answer in time.`, { cause: error });
  }
  if (["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"].includes(cause)) {
    return new GlobalFsError("Unreachable", `The coordinator at ${endpoint} cannot be reached (${cause}).`, {
      cause: error,
    });
  }
  return new GlobalFsError(
    "BrokenStream",
    `The connection to the coordinator at ${endpoint} broke: ${String(message ?? error)}.`,
    { cause: error },
  );
}
