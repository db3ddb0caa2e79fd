import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { ORIGIN_HEADER, writtenOrigin } from "./client-origin.ts";

/** Gives a request to another process of this machine, as it came, and its answer back. */
export interface PassOn {
  (request: IncomingMessage, response: ServerResponse): void;
}

export interface PassOnOptions {
  readonly socketPath: string;
  /** At most so many connections to the other process. */
  readonly maxConnections: number;
  /** Nothing has been answered yet, and nothing will come. */
  readonly onFailure: (request: IncomingMessage, response: ServerResponse, error: Error) => void;
}

const HOP_BY_HOP = new Set(["connection", "keep-alive", "proxy-connection", "te", "upgrade", "transfer-encoding"]);

export function createPassOn({ socketPath, maxConnections, onFailure }: PassOnOptions): PassOn {
  const agent = new http.Agent({ keepAlive: true, maxSockets: maxConnections, scheduling: "lifo" });
  return (request, response) => {
    const onward = http.request({
      agent,
      socketPath,
      method: request.method ?? "GET",
      path: request.url ?? "/",
      // The signature covers names and values as they were written, in any order.
      headers: onwardHeaders(request),
      setHost: false,
    });
    // The other process decides whether the client may send its body.
    onward.on("continue", () => response.writeContinue());
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
      // A broken answer breaks the connection: the client must not take a part for the whole.
      pipeline(answer, response).catch(() => response.destroy());
    });
    onward.on("error", (error) => {
      if (response.headersSent) response.destroy();
      else onFailure(request, response, error);
    });
    response.once("close", () => {
      if (!response.writableFinished) onward.destroy();
    });
    if (hasBody(request)) {
      // A client that waits for a word sends nothing before it.
      onward.flushHeaders();
      pipeline(request, onward).catch(() => onward.destroy());
    } else onward.end();
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function onwardHeaders(request: IncomingMessage): string[] {
  const headers = endToEnd(request.rawHeaders);
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if ((headers[index] as string).toLowerCase() === ORIGIN_HEADER) headers.splice(index, 2);
  }
  headers.push(ORIGIN_HEADER, writtenOrigin(request));
  if (request.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
  return headers;
}

/** What concerns the connection of the one side is not for the other. */
function endToEnd(raw: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string;
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, raw[index + 1] as string);
  }
  return kept;
}
