import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { KnownAccessKey } from "../../../../coordinator/index.ts";
import { toGfsError } from "../../../../core/errors.ts";
import type { Clock } from "../../../../core/ports/clock.ts";
import { type BodyTurns, drainRest } from "../../../http/index.ts";
import type { Target } from "../../wire/request.ts";
import { createGate } from "../index.ts";

/** A bare server that does nothing but ask the gate, read the body and say what came of it. */
export interface GateServer {
  readonly port: number;
  readonly endpoint: string;
  close(): Promise<void>;
}

export interface Passed {
  readonly kind: string;
  readonly user: string;
  readonly accessKeyId: string;
  readonly key?: string;
  readonly body: string;
  readonly sizeBytes?: number;
  readonly checksum?: unknown;
  readonly encoding?: string;
  readonly acl?: string | string[];
}

export function accessKey(fields: Partial<KnownAccessKey> & { readonly secret: string }): KnownAccessKey {
  return { id: "AKIAIOSFODNN7EXAMPLE", user: "alice", grants: [{ path: "", role: "admin" }], createdMs: 0, ...fields };
}

export function targetOf({ method, url }: IncomingMessage): Target {
  const address = new URL(url ?? "/", "http://host");
  const [, bucket = "", ...key] = address.pathname.split("/");
  return {
    method: method ?? "GET",
    bucket: decodeURIComponent(bucket),
    key: decodeURIComponent(key.join("/")),
    query: new Map([...address.searchParams].toReversed()),
  };
}

export async function startGateServer(options: {
  readonly keys: readonly KnownAccessKey[];
  readonly clock: Clock;
  readonly region?: string;
  readonly bodyIdleMs?: number;
  readonly signatureV2?: boolean;
  readonly turns?: BodyTurns;
}): Promise<GateServer> {
  const known = new Map(options.keys.map((key) => [key.id, key]));
  const gate = createGate({
    findAccessKey: (id) => known.get(id),
    clock: options.clock,
    ...(options.turns === undefined ? {} : { turns: options.turns }),
    settings: {
      region: options.region ?? "us-east-1",
      bodyIdleMs: options.bodyIdleMs ?? 5_000,
      signatureV2: options.signatureV2 ?? true,
    },
  });
  const answer = async (http: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const { identity, body, key } = await gate.authenticate(http, response, targetOf(http));
      const chunks: Uint8Array[] = [];
      if (http.method !== "GET") for await (const chunk of body.stream()) chunks.push(chunk);
      const passed: Passed = {
        kind: identity.kind,
        user: identity.user,
        accessKeyId: identity.accessKeyId,
        ...(key === undefined ? {} : { key }),
        body: Buffer.concat(chunks).toString("latin1"),
        ...(body.sizeBytes === undefined ? {} : { sizeBytes: body.sizeBytes }),
        checksum: body.checksum(),
        ...(http.headers["x-amz-acl"] === undefined ? {} : { acl: http.headers["x-amz-acl"] }),
        ...(http.headers["content-encoding"] === undefined ? {} : { encoding: http.headers["content-encoding"] }),
      };
      response.setHeader("ETag", '"1"');
      response.end(JSON.stringify(passed));
    } catch (error) {
      const failure = toGfsError(error);
      const { s3 } = failure.context;
      const code = typeof s3 === "string" ? s3 : failure.meaning.s3;
      const body = `<Error><Code>${code}</Code><Message>${failure.message.replaceAll(/[<&]/g, " ")}</Message></Error>`;
      response.writeHead(failure.meaning.http, {
        "Content-Type": "application/xml",
        "Content-Length": Buffer.byteLength(body),
      });
      response.end(body);
      drainRest(http);
    }
  };
  const server: Server = createServer((http, response) => void answer(http, response));
  server.on("checkContinue", (http: IncomingMessage, response: ServerResponse) => void answer(http, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A request as the gate sees it, without a connection. */
export function fakeRequest(request: {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | readonly Buffer[];
}): IncomingMessage {
  const { body = "" } = request;
  const chunks = Array.isArray(body) ? (body as readonly Buffer[]) : [Buffer.from(body as Buffer)];
  const headers: IncomingHttpHeaders = {};
  const rawHeaders: string[] = [];
  for (const [name, value] of Object.entries(request.headers)) {
    rawHeaders.push(name, value);
    headers[name.toLowerCase()] = value;
  }
  const readable = Readable.from(
    chunks.filter((chunk) => chunk.byteLength > 0),
    { objectMode: false },
  );
  return Object.assign(readable, {
    method: request.method,
    url: request.url,
    headers,
    rawHeaders,
    complete: true,
  }) as unknown as IncomingMessage;
}

/** Sends bytes as they are, and resolves with all that came back once the other side closed or answered. */
export async function sendRaw(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      for (const piece of pieces) socket.write(piece);
      socket.end();
    });
    let received = "";
    socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    socket.on("error", () => resolve(received));
    socket.on("close", () => resolve(received));
  });
}
