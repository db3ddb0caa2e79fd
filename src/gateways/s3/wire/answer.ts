import type { ServerResponse } from "node:http";
import type { Ctx } from "../../../core/context.ts";
import type { TextBytes } from "./text-bytes.ts";

/** How answers go out: header and body in one write, each with the request's ids. */

export interface Answerable {
  readonly ctx: Ctx;
  readonly response: ServerResponse;
}

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const S3_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

/** Names and values in turn, as `writeHead` takes them without looking at them twice. */
export type FlatHeaders = readonly string[];

export function identifying(ctx: Ctx): string[] {
  return ["x-amz-request-id", ctx.requestId, "x-amz-id-2", hostId(ctx.requestId), "Server", "GlobalFS"];
}

/** S3's second id of a request. Nothing is behind it here but the first, so that either finds the line in the log. */
export function hostId(requestId: string): string {
  return Buffer.from(requestId).toString("base64");
}

/** Bytes begin with the declaration already. */
export function sendXml(
  { ctx, response }: Answerable,
  document: string | TextBytes,
  { status = 200, headers = [] }: { readonly status?: number; readonly headers?: FlatHeaders } = {},
): void {
  const bytes = typeof document === "string" ? Buffer.from(XML_DECLARATION + document) : document.finish();
  response.writeHead(status, [
    ...identifying(ctx),
    ...headers,
    "Content-Type",
    "application/xml",
    "Content-Length",
    String(bytes.length),
  ]);
  response.end(bytes);
}

export function sendEmpty({ ctx, response }: Answerable, status = 200, headers: FlatHeaders = []): void {
  response.writeHead(status, [
    ...identifying(ctx),
    ...headers,
    ...(status === 204 || status === 304 ? [] : ["Content-Length", "0"]),
  ]);
  response.end();
}
