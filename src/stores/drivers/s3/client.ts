/** Signed requests to one bucket: signing, sending, and the answers that only ask for a second, corrected request. */
import { Readable } from "node:stream";
import { type Dispatcher, Pool } from "undici";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import { canonicalQuery, EMPTY_SHA256, UNSIGNED_PAYLOAD, uriEncodePath } from "../../../core/sigv4.ts";
import type { PartBody } from "../../store.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { firstRegion, isRegion, resolveEndpoint, type S3Endpoint, type S3StoreConfig } from "./config.ts";
import { type CredentialSource, credentialSource } from "./credentials.ts";
import { failureFrom, fromTransport, type S3Failure, toError } from "./failures.ts";
import { type AwsCredentials, SigV4 } from "./sigv4.ts";
import { MAX_XML_BYTES } from "../../../core/xml.ts";

export interface S3Request {
  /** For errors, such as `s3.get`. */
  readonly op: string;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** With the site's prefix; absent for the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | PartBody;
  /** Hex SHA-256 of the body; a streamed body goes without. */
  readonly payloadHash?: string;
  /** For requests that the endpoint may take minutes over. */
  readonly slow?: boolean;
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface S3Response {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly body: Dispatcher.ResponseData["body"];
}

export interface S3Deps {
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 60_000;
const SLOW_ANSWER_TIMEOUT_MS = 600_000;
const IDLE_BODY_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 10_000;
/** A body on a slow line may take this long for each byte before it counts as stuck. */
const SLOWEST_BYTES_PER_MS = 32;
/** S3 itself accepts a quarter of an hour: a clock this close is no reason for a refusal. */
const TOLERATED_SKEW_MS = 10 * 60_000;
/** Corrections for one request: another region, another clock, other credentials. */
const MAX_CORRECTIONS = 3;

interface Connection {
  readonly endpoint: S3Endpoint;
  readonly pool: Pool;
}

export class S3Client {
  readonly #config: S3StoreConfig;
  readonly #clock: Clock;
  readonly #credentials: CredentialSource;
  readonly #signer = new SigV4();
  /** The endpoint's clock less ours; zero until it complained. */
  #skewMs = 0;
  #connection: Connection;
  readonly #retired: Pool[] = [];
  /** Whether the endpoint takes the quotes of an `If-Match` for a part of the entity tag; learned from it. */
  comparesQuotes = false;

  constructor(config: S3StoreConfig, deps: S3Deps) {
    this.#config = config;
    this.#clock = deps.clock;
    this.#credentials = credentialSource(config.credentials, deps.clock);
    this.#connection = this.#connect(firstRegion(config));
  }

  get bucket(): string {
    return this.#config.bucket;
  }

  /** Resolves with an answer of status 2xx, whose body the caller must consume; rejects with a `GfsError` otherwise. */
  async send(ctx: Ctx, request: S3Request): Promise<S3Response> {
    let refusal: S3Failure | undefined;
    for (let corrections = 0; ; corrections++) {
      const connection = this.#connection;
      const credentials = await this.#currentCredentials();
      const response = await this.#attempt(ctx, request, connection, credentials).catch((error: unknown) => {
        // The body could not be read once more, so there was no second request; what the first was refused for is the answer.
        throw refusal !== undefined && isGfsError(error, "IncompleteBody") ? toError(refusal) : error;
      });
      if (response.status >= 200 && response.status < 300) return response;
      const failure = failureFrom(
        request.op,
        response.status,
        await readText(ctx, response, request.op),
        response.headers,
      );
      if (corrections >= MAX_CORRECTIONS || !this.#correct(failure, response.headers, connection, credentials)) {
        throw toError(failure);
      }
      refusal = failure;
    }
  }

  /** As `send`, with the answer's text. */
  async sendForText(
    ctx: Ctx,
    request: S3Request,
  ): Promise<{ readonly text: string; readonly headers: ResponseHeaders }> {
    const response = await this.send(ctx, request);
    return { text: await readText(ctx, response, request.op), headers: response.headers };
  }

  async presign(method: string, key: string, expiresSeconds: number): Promise<string> {
    const { endpoint } = this.#connection;
    const path = `${endpoint.bucketPath}/${uriEncodePath(key)}`;
    const credentials = await this.#currentCredentials();
    if (credentials === undefined) return `${endpoint.origin}${path}`;
    const query = this.#signer.presign(
      { region: endpoint.region, credentials },
      { method, path, host: endpoint.host },
      { nowMs: this.#clock.nowMs() + this.#skewMs, expiresSeconds },
    );
    return `${endpoint.origin}${path}?${query}`;
  }

  async close(): Promise<void> {
    await Promise.all([this.#connection.pool.destroy(), ...this.#retired.map((pool) => pool.destroy())]);
  }

  async #currentCredentials(): Promise<AwsCredentials | undefined> {
    const credentials = this.#credentials.get();
    return credentials instanceof Promise ? await credentials : credentials;
  }

  async #attempt(
    ctx: Ctx,
    request: S3Request,
    { endpoint, pool }: Connection,
    credentials: AwsCredentials | undefined,
  ): Promise<S3Response> {
    const path =
      request.key === undefined ? endpoint.bucketPath || "/" : `${endpoint.bucketPath}/${uriEncodePath(request.key)}`;
    const query = request.query === undefined ? "" : canonicalQuery(request.query);
    const headers: Record<string, string> = { ...request.headers, host: endpoint.host };
    const { body } = request;
    const streamed = body !== undefined && !(body instanceof Uint8Array);
    if (credentials !== undefined) {
      const payloadHash = request.payloadHash ?? (body === undefined ? EMPTY_SHA256 : UNSIGNED_PAYLOAD);
      const toSign = { method: request.method, path, query, headers, payloadHash };
      const signed = this.#signer.sign(
        { region: endpoint.region, credentials },
        toSign,
        this.#clock.nowMs() + this.#skewMs,
      );
      Object.assign(headers, signed);
    }
    if (streamed) headers["content-length"] = String(body.sizeBytes);
    const sizeBytes = body === undefined ? 0 : streamed ? body.sizeBytes : body.byteLength;
    const answerTimeoutMs = request.slow === true ? SLOW_ANSWER_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
    try {
      const response = await pool.request({
        method: request.method,
        path: query === "" ? path : `${path}?${query}`,
        headers,
        body: body === undefined ? null : streamed ? Readable.from(body.open(), { objectMode: false }) : body,
        signal: allowManyListeners(ctx.signal),
        // The library would close the connection after every HEAD, for servers that answer it with a body; S3 servers do not.
        reset: false,
        headersTimeout: answerTimeoutMs + sizeBytes / SLOWEST_BYTES_PER_MS,
        bodyTimeout: request.slow === true ? SLOW_ANSWER_TIMEOUT_MS : IDLE_BODY_TIMEOUT_MS,
      });
      return { status: response.statusCode, headers: response.headers, body: response.body };
    } catch (error) {
      throw fromTransport(error, request.op, ctx.signal);
    }
  }

  /** Whether the failure was about how we asked, and asking differently is worth it. */
  #correct(
    failure: S3Failure,
    headers: ResponseHeaders,
    asked: Connection,
    credentials: AwsCredentials | undefined,
  ): boolean {
    // An answer to HEAD names no reason; with clocks this far apart the reason is known all the same.
    const unnamed = failure.status === 403 && failure.code === undefined;
    const skewed = failure.code === "RequestTimeTooSkewed" || unnamed;
    if (skewed && this.#followClock(headers["date"])) return true;
    if (failure.code === "ExpiredToken" && credentials !== undefined) return this.#credentials.refuse(credentials);
    const { region } = failure;
    // A region becomes part of a host name: what is none is not gone to.
    if (region === undefined || !isRegion(region) || ![301, 307, 400].includes(failure.status)) return false;
    // Another request may have moved on already.
    if (this.#connection !== asked) return true;
    if (region === asked.endpoint.region) return false;
    this.#move(region);
    return true;
  }

  #followClock(date: string | string[] | undefined): boolean {
    const theirsMs = Date.parse(String(date));
    const apartMs = Math.abs(theirsMs - this.#clock.nowMs() - this.#skewMs);
    if (!(apartMs > TOLERATED_SKEW_MS)) return false;
    this.#skewMs = theirsMs - this.#clock.nowMs();
    return true;
  }

  /** Requests under way end on the old connections; there are as many moves as regions at most. */
  #move(region: string): void {
    const before = this.#connection;
    const endpoint = resolveEndpoint(this.#config, region);
    if (endpoint.origin === before.endpoint.origin) {
      this.#connection = { endpoint, pool: before.pool };
      return;
    }
    this.#connection = this.#connect(region);
    this.#retired.push(before.pool);
    if (this.#retired.length > 4) void this.#retired.shift()?.destroy();
  }

  #connect(region: string): Connection {
    const endpoint = resolveEndpoint(this.#config, region);
    const pool = new Pool(endpoint.origin, {
      connections: this.#config.maxConnections ?? 64,
      pipelining: 1,
      connectTimeout: this.#config.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      autoSelectFamily: true,
    });
    return { endpoint, pool };
  }
}

/** Reads an answer that is a document, within the limit for documents. */
async function readText(ctx: Ctx, response: S3Response, op: string): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > MAX_XML_BYTES)
        throw new GfsError("Unavailable", "The S3 endpoint's answer is far too long.", { op });
      chunks.push(chunk);
    }
  } catch (error) {
    throw fromTransport(error, op, ctx.signal);
  }
  return Buffer.concat(chunks).toString();
}

export async function discardBody(ctx: Ctx, response: S3Response, op: string): Promise<void> {
  await readText(ctx, response, op);
}
