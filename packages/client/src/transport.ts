import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import { type Answer, errorOfAnswer, errorOfTransport, GlobalFsError } from "./errors.ts";
import type { CallOptions } from "./types.ts";

export interface ClientOptions {
  /** Such as `http://localhost:8090`. */
  readonly endpoint?: string;
  readonly apiKey?: string;
  /** The key may go to another machine in clear text, such as to a tunnel's end; otherwise that is refused. */
  readonly clearText?: boolean;
  /** Parallel connections; further requests wait. */
  readonly connections?: number;
  /** Default of every call's `timeoutMs`. */
  readonly timeoutMs?: number;
  /**
   * How often a read is sent again after an answer that says so, or a broken connection. A PUT whose body can be read again is sent
   * again only after an answer that says that it was not begun (Overloaded): after any other, somebody else may have stored since.
   */
  readonly retries?: number;
  readonly userAgent?: string;
}

export interface Call extends CallOptions {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Raw, with everything percent-encoded that must be. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** A function gives the body from its beginning, as often as it is called. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);
  /** These statuses are answers and no errors. */
  readonly expect: readonly number[];
}

export interface OpenAnswer extends Answer {
  readonly body: Readable;
}

export interface Transport {
  readonly endpoint: string;
  readonly retries: number;
  readonly timeoutMs: number;
  /** The body must be read to its end, or destroyed. */
  open(call: Call): Promise<OpenAnswer>;
  text(call: Call): Promise<Answer & { readonly text: string }>;
  close(): Promise<void>;
}

const LONGEST_ERROR_BYTES = 64 * 1024;
const LONGEST_RETRY_MS = 10_000;

export function createTransport(options: ClientOptions): Transport {
  const endpoint = options.endpoint ?? "http://localhost:8090";
  const url = parseEndpoint(endpoint);
  refuseClearText(url, options);
  const base = url.pathname.replace(/\/+$/, "");
  const timeoutMs = options.timeoutMs ?? 60_000;
  const retries = options.retries ?? 2;
  const agent = new Agent({
    connections: options.connections ?? 32,
    connect: { timeout: Math.min(timeoutMs, 10_000) },
    keepAliveTimeout: 4_000,
  });

  async function send(call: Call): Promise<OpenAnswer> {
    const limitMs = call.timeoutMs ?? timeoutMs;
    const given = typeof call.body === "function" ? call.body() : call.body;
    const upload = isStream(given) ? watchUpload(given, limitMs, call.signal) : undefined;
    const signal = upload?.signal ?? call.signal;
    try {
      const answer = await agent.request({
        origin: url.origin,
        // Not a URL: a parser would fold `..` and turn one key into another.
        path: base + call.path + queryText(call.query),
        method: call.method,
        headers: headersOf(call, options),
        body: (upload?.body ?? given ?? null) as Dispatcher.DispatchOptions["body"] & null,
        headersTimeout: upload === undefined ? limitMs : 0,
        bodyTimeout: limitMs,
        ...(signal === undefined ? {} : { signal }),
      });
      const { statusCode: status, headers, body } = answer;
      if (call.expect.includes(status)) return { status, headers, body };
      throw errorOfAnswer({ status, headers }, await readLimited(body));
    } catch (error) {
      throw errorOfTransport(error, endpoint, signal);
    } finally {
      upload?.stop();
    }
  }

  async function open(call: Call): Promise<OpenAnswer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await send(call);
      } catch (error) {
        if (attempt >= retries || !(error instanceof GlobalFsError) || !mayRepeat(call, error)) throw error;
        const pauseMs = Math.min(error.retryAfterMs ?? 100 * 2 ** attempt, LONGEST_RETRY_MS);
        await sleep(pauseMs, undefined, call.signal === undefined ? {} : { signal: call.signal }).catch(
          (reason: unknown) => {
            throw errorOfTransport(reason, endpoint, call.signal);
          },
        );
      }
    }
  }

  return {
    endpoint,
    retries,
    timeoutMs,
    open,
    async text(call) {
      const { status, headers, body } = await open(call);
      try {
        let text = "";
        body.setEncoding("utf8");
        for await (const piece of body) text += piece as string;
        return { status, headers, text };
      } catch (error) {
        throw errorOfTransport(error, endpoint, call.signal);
      }
    },
    close: () => agent.close(),
  };
}

function parseEndpoint(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new GlobalFsError(
      "InvalidArgument",
      `"${endpoint}" is not the address of a coordinator; write one such as http://localhost:8090.`,
    );
  }
  return url;
}

/** Whoever sees a key once may use it for ever. */
function refuseClearText(url: URL, { apiKey, clearText }: ClientOptions): void {
  if (apiKey === undefined || apiKey === "" || clearText === true || url.protocol === "https:") return;
  if (isThisMachine(url.hostname)) return;
  throw new GlobalFsError(
    "InvalidArgument",
    `The key would go to ${url.host} in clear text, for everybody on the way to see; use https://${url.hostname}. Where something else protects the way, say GLOBALFS_CLEAR_TEXT=allow, or clearText: true to the client.`,
  );
}

function isThisMachine(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(?:\.\d+){3}$/.test(host);
}

function headersOf(call: Call, options: ClientOptions): Record<string, string> {
  const headers: Record<string, string> = {
    "user-agent": options.userAgent ?? "globalfs-client",
    // No page's form can send it, which the coordinator wants to know of whatever changes something.
    "x-globalfs-client": "1",
  };
  if (options.apiKey !== undefined && options.apiKey !== "") headers["x-globalfs-api-key"] = options.apiKey;
  for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers[name] = value;
  return headers;
}

function queryText(query: Call["query"]): string {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  if (pairs.length === 0) return "";
  return `?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&")}`;
}

function mayRepeat({ method, body }: Call, error: GlobalFsError): boolean {
  if (method === "PUT") return error.code === "Overloaded" && !isStream(body);
  if (method !== "GET" && method !== "HEAD") return false;
  return error.status === 503 || error.status === 504 || error.code === "BrokenStream";
}

function isStream(body: Call["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && !(body instanceof Uint8Array);
}

/** A long upload is fine, a stalled one is not: the limit starts again with every piece that the server takes. */
function watchUpload(source: AsyncIterable<Uint8Array>, limitMs: number, outer: AbortSignal | undefined) {
  const stalled = new AbortController();
  const timer = setTimeout(() => {
    stalled.abort(new GlobalFsError("Timeout", `Nothing of the upload moved for ${Math.round(limitMs / 1_000)} s.`));
  }, limitMs);
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      timer.refresh();
      yield piece;
      timer.refresh();
    }
  }
  return {
    body: body(),
    signal: outer === undefined ? stalled.signal : AbortSignal.any([stalled.signal, outer]),
    stop: () => clearTimeout(timer),
  };
}

async function readLimited(body: Readable): Promise<string> {
  let text = "";
  body.setEncoding("utf8");
  for await (const piece of body) {
    text += piece as string;
    if (text.length > LONGEST_ERROR_BYTES) break;
  }
  return text;
}

/** Lets go of an answer that nobody will read. */
export function discard(body: Readable): void {
  body.once("error", () => undefined);
  body.destroy();
}
