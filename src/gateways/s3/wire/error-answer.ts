import type { IncomingMessage, ServerResponse } from "node:http";
import { GfsError, toGfsError } from "../../../core/errors.ts";
import type { Ctx } from "../../../core/context.ts";
import { escapeXml } from "../../../core/xml.ts";
import { drainRest, pathOf } from "../../http/index.ts";
import { type FlatHeaders, hostId, identifying, XML_DECLARATION } from "./answer.ts";
import type { Target } from "./request.ts";

/** S3 codes whose status is another than that of the error they travel in. */
const STATUS: Readonly<Record<string, number>> = {
  AccessDenied: 403,
  AllAccessDisabled: 403,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredToken: 400,
  InvalidAccessKeyId: 403,
  InvalidObjectState: 403,
  InvalidPart: 400,
  InvalidToken: 400,
  InvalidRequest: 400,
  MaxMessageLengthExceeded: 400,
  MetadataTooLarge: 400,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NoSuchVersion: 404,
  RequestTimeTooSkewed: 403,
  RequestTimeout: 400,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
};

export interface S3Failure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Elements beside those that every error has. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly headers: FlatHeaders;
}

/** What the client did, as far as it is known when something fails. */
export interface FailedRequest {
  readonly ctx: Ctx;
  readonly http: IncomingMessage;
  readonly target: Target | undefined;
}

/** How an error looks from outside: S3's code, a sentence, the ids. Nothing of what is inside. */
export function describeFailure(error: unknown, { ctx, http, target }: FailedRequest): S3Failure {
  const failure = toGfsError(error);
  const hidden = isOurs(failure);
  if (hidden || failure.meaning.log === "error") {
    ctx.log[failure.meaning.log === "error" ? "error" : "warn"]("request_error", {
      requestId: ctx.requestId,
      code: failure.code,
      op: failure.op,
      error: failure.message,
      context: failure.context,
      stack: failure.code === "Internal" ? failure.stack : undefined,
    });
  }
  const code = codeOf(failure, target, http);
  return {
    status: STATUS[code] ?? (failure.meaning.http === 499 ? 400 : failure.meaning.http),
    code,
    message: hidden ? sentenceOf(failure, ctx) : failure.message,
    fields: fieldsOf(failure, { code, target, http }),
    headers: headersOf(failure),
  };
}

/** What went wrong on our side speaks of sites, paths and disks, which are not the client's business. */
function isOurs({ code, meaning }: GfsError): boolean {
  return meaning.http >= 500 && code !== "Unsupported" && code !== "Overloaded";
}

function sentenceOf({ code }: GfsError, { requestId }: Ctx): string {
  if (code === "Internal" || code === "DataCorrupt")
    return `The request failed on the server's side; the coordinator's log tells more under request ${requestId}.`;
  if (code === "NoSpace")
    return `There is no room left, so that nothing was written; reads and deletes go on. The coordinator's log tells more under request ${requestId}.`;
  return `The service cannot do this now; try again in a moment. The coordinator's log tells more under request ${requestId}.`;
}

function codeOf(failure: GfsError, target: Target | undefined, http: IncomingMessage): string {
  const { s3 } = failure.context;
  if (typeof s3 === "string") return s3;
  // S3 tells the writer that there is nothing to replace, where HTTP has only that the condition does not hold.
  if (failure.code === "PreconditionFailed" && failure.context["missing"] === true && http.method !== "DELETE")
    return "NoSuchKey";
  const onBucket = target === undefined || target.key === "";
  if (failure.code === "NotFound") return notFoundCode(target, http);
  if (failure.code === "NotEmpty" && onBucket) return "BucketNotEmpty";
  return failure.meaning.s3;
}

/** What was looked for, where whoever looked did not say. A copy that knows its upload misses its source. */
function notFoundCode(target: Target | undefined, http: IncomingMessage): string {
  if (target === undefined || target.key === "") return "NoSuchBucket";
  const copies = http.headers["x-amz-copy-source"];
  if (copies !== undefined) return String(copies).includes("?versionId=") ? "NoSuchVersion" : "NoSuchKey";
  if (target.query.has("uploadId")) return "NoSuchUpload";
  return target.query.has("versionId") ? "NoSuchVersion" : "NoSuchKey";
}

/** Of the context, only what S3 has an element for: the rest is ours. */
const FROM_CONTEXT: Readonly<Record<string, string>> = {
  argumentName: "ArgumentName",
  argumentValue: "ArgumentValue",
  region: "Region",
  condition: "Condition",
  uploadId: "UploadId",
  header: "Header",
  accessKeyId: "AWSAccessKeyId",
  headersNotSigned: "HeadersNotSigned",
  requestTime: "RequestTime",
  serverTime: "ServerTime",
  expires: "Expires",
  maxAllowedSkewMilliseconds: "MaxAllowedSkewMilliseconds",
};

function fieldsOf(
  failure: GfsError,
  {
    code,
    target,
    http,
  }: { readonly code: string; readonly target: Target | undefined; readonly http: IncomingMessage },
): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [];
  const add = (name: string, value: unknown): void => {
    if (typeof value === "string" && value !== "") fields.push([name, value]);
  };
  if (code === "NoSuchBucket" || code.startsWith("Bucket") || code === "InvalidBucketName")
    add("BucketName", target?.bucket);
  if (code === "NoSuchKey" || code === "NoSuchVersion") add("Key", target?.key);
  if (code === "NoSuchVersion") add("VersionId", target?.query.get("versionId"));
  if (code === "NoSuchUpload") add("UploadId", target?.query.get("uploadId"));
  if (code === "MethodNotAllowed") {
    add("Method", http.method);
    add("ResourceType", resourceType(target));
  }
  if (code === "InvalidRange") {
    add("RangeRequested", http.headers.range);
    const { sizeBytes } = failure.context;
    if (typeof sizeBytes === "number") add("ActualObjectSize", String(sizeBytes));
  }
  for (const [name, element] of Object.entries(FROM_CONTEXT)) add(element, failure.context[name]);
  return fields.filter(([name], index) => fields.findIndex(([other]) => other === name) === index);
}

function resourceType(target: Target | undefined): string {
  if (target === undefined || target.bucket === "") return "SERVICE";
  if (target.query.has("versionId")) return "DeleteMarker";
  return target.key === "" ? "BUCKET" : "OBJECT";
}

function headersOf(failure: GfsError): string[] {
  const headers: string[] = [];
  const { context, code, retryAfterMs } = failure;
  if (retryAfterMs !== undefined) headers.push("Retry-After", String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  else if (code === "Overloaded" || code === "Unavailable") headers.push("Retry-After", "1");
  if (code === "RangeNotSatisfiable" && typeof context["sizeBytes"] === "number")
    headers.push("Content-Range", `bytes */${context["sizeBytes"]}`);
  if (context["deleteMarker"] === true) {
    headers.push("x-amz-delete-marker", "true");
    if (typeof context["versionId"] === "string") headers.push("x-amz-version-id", context["versionId"]);
  }
  if (typeof context["allow"] === "string") headers.push("Allow", context["allow"]);
  return headers;
}

export function failureXml({ code, message, fields }: S3Failure, { ctx, http }: FailedRequest): string {
  const extra = fields.map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`).join("");
  return `<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message>${extra}<Resource>${escapeXml(printable(pathOf(http.url ?? "")))}</Resource><RequestId>${escapeXml(ctx.requestId)}</RequestId><HostId>${hostId(ctx.requestId)}</HostId></Error>`;
}

/** What came in a request line is bytes: those that XML cannot carry become a question mark. */
function printable(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/g, "?");
}

/** Answers, and sees to it that a client that is still sending can read the answer. */
export function sendFailure(response: ServerResponse, failed: FailedRequest, error: unknown): void {
  const { ctx, http } = failed;
  const failure = describeFailure(error, failed);
  if (response.headersSent) {
    // The status has gone out: only breaking the connection tells that the body is not whole.
    response.destroy();
    return;
  }
  const text = XML_DECLARATION + failureXml(failure, failed);
  const head = http.method === "HEAD";
  response.writeHead(failure.status, [
    ...identifying(ctx),
    ...failure.headers,
    ...(failure.status === 304
      ? []
      : ["Content-Type", "application/xml", "Content-Length", head ? "0" : String(Buffer.byteLength(text))]),
  ]);
  response.end(head || failure.status === 304 ? undefined : text);
  drainRest(http);
}
