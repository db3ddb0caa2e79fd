import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { Conditions, CoordinatorService, ObjectRead } from "../../coordinator/index.ts";
import { type ByteRange, type Span, spanOf } from "../../stores/index.ts";
import { pump, rangesAsked } from "../http/index.ts";
import { objectHeaders } from "./http-headers.ts";
import type { RequestScope } from "./request-scope.ts";

const LOOKUPS = 3;

/** A file that changes between lookup and open is looked up again: the caller gets one version or the other, whole. */
export async function sendObject(
  service: CoordinatorService,
  scope: RequestScope,
  key: string,
  conditions: Conditions | undefined,
): Promise<void> {
  for (let lookup = 1; ; lookup++) {
    const read = await service.readObject(scope.ctx, key, conditions === undefined ? {} : { conditions });
    try {
      await sendRead(scope, read);
      return;
    } catch (error) {
      if (!isGfsError(error, "Conflict") || lookup === LOOKUPS || scope.response.headersSent) throw error;
    }
  }
}

async function sendRead(scope: RequestScope, read: ObjectRead): Promise<void> {
  const { request, response } = scope;
  const { meta } = read;
  const headers = objectHeaders(meta);
  headers.push("X-Request-ID", scope.ctx.requestId);
  if (read.notModified) {
    writeHead(response, 304, headers);
    response.end();
    return;
  }
  const ranges = rangesAsked(request.headers, meta);
  const spans = ranges === undefined ? undefined : satisfiable(ranges, meta.sizeBytes);
  if (spans === undefined) await sendSpan(scope, read, { status: 200, headers, range: undefined });
  else if (spans.length === 1) {
    const [span] = spans as [Span];
    headers.push("Content-Range", contentRange(span, meta.sizeBytes));
    await sendSpan(scope, read, { status: 206, headers, range: span });
  } else await sendParts(scope, read, spans, headers);
}

/** In the order asked for; those that overlap or touch are sent as one. */
function satisfiable(ranges: readonly ByteRange[], sizeBytes: number): Span[] {
  const spans: Span[] = [];
  for (const range of ranges) {
    try {
      spans.push(spanOf(range, sizeBytes));
    } catch (error) {
      if (ranges.length === 1 || !isGfsError(error, "RangeNotSatisfiable")) throw error;
    }
  }
  if (spans.length === 0)
    throw new GfsError("RangeNotSatisfiable", `None of the ranges lies in the object, which has ${sizeBytes} bytes.`, {
      context: { sizeBytes },
    });
  const sorted = [...spans].sort((one, other) => one.start - other.start);
  const overlap = sorted.some((span, index) => index > 0 && span.start <= (sorted[index - 1] as Span).end);
  if (!overlap) return spans;
  const merged: Span[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && span.start <= last.end)
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    else merged.push(span);
  }
  return merged;
}

function contentRange({ start, end }: Span, sizeBytes: number): string {
  return `bytes ${start}-${end - 1}/${sizeBytes}`;
}

function writeHead(response: ServerResponse, status: number, headers: readonly string[]): void {
  response.writeHead(status, headers as string[]);
}

interface Answer {
  readonly status: number;
  readonly headers: string[];
  readonly range: Span | undefined;
}

async function sendSpan(
  { response, ctx }: RequestScope,
  read: ObjectRead,
  { status, headers, range }: Answer,
): Promise<void> {
  const opened = await read.open(range);
  headers.push("Content-Length", String(opened.end - opened.start), "X-GlobalFS-Source", opened.source);
  if (opened.bytes !== undefined) {
    writeHead(response, status, headers);
    response.end(opened.bytes);
    return;
  }
  writeHead(response, status, headers);
  await pump(response, opened, ctx.signal);
  response.end();
}

/** RFC 9110 section 14.6. */
async function sendParts(
  { response, ctx }: RequestScope,
  read: ObjectRead,
  spans: readonly Span[],
  headers: string[],
): Promise<void> {
  const { meta } = read;
  const boundary = `globalfs-${randomBytes(12).toString("hex")}`;
  const type = meta.contentType ?? "application/octet-stream";
  const heads = spans.map(
    (span) =>
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(span, meta.sizeBytes)}\r\n\r\n`,
  );
  const end = `\r\n--${boundary}--\r\n`;
  const sizeBytes = spans.reduce(
    (sum, span, index) => sum + Buffer.byteLength(heads[index] as string) + span.end - span.start,
    Buffer.byteLength(end),
  );
  // The first range is opened before the headers go out, so that a failure can still be told.
  let opened = await read.open(spans[0]);
  headers[headers.indexOf("Content-Type") + 1] = `multipart/byteranges; boundary=${boundary}`;
  headers.push("Content-Length", String(sizeBytes));
  writeHead(response, 206, headers);
  for (const [index, head] of heads.entries()) {
    if (index > 0) opened = await read.open(spans[index]);
    response.write(head);
    await pump(response, opened, ctx.signal);
  }
  response.end(end);
}
