import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../../../core/ports/clock.ts";
import type { Store } from "../../../store.ts";
import { createAzureStore } from "../index.ts";

export const ACCOUNT = { account: "test", accountKey: Buffer.alloc(64, 7).toString("base64") };

let looks = 0;
/** Waits for nothing, and is later whenever it is looked at. */
export const impatientClock: Clock = {
  ...systemClock,
  nowMs: () => systemClock.nowMs() + ++looks,
  sleep: () => Promise.resolve(),
};

export interface Blob {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly blocks: readonly string[];
  readonly md5?: string;
}

export interface Asked {
  readonly method: string;
  readonly name: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** Faults that no healthy service has: what it answers instead, `late` after it has done what was asked. */
export interface Fault {
  readonly when: (asked: Asked) => boolean;
  readonly status?: number;
  readonly code?: string;
  readonly late?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly times?: number;
}

/** The little of a blob service that these tests need, with faults on top. */
export class BlobService {
  readonly blobs = new Map<string, Blob>();
  readonly waiting = new Map<string, Map<string, Buffer>>();
  readonly asked: Asked[] = [];
  readonly faults: { fault: Fault; left: number }[] = [];
  #etags = 0;

  fail(fault: Fault): void {
    this.faults.push({ fault, left: fault.times ?? 1 });
  }

  count(when: Fault["when"]): number {
    return this.asked.filter(when).length;
  }

  answer(asked: Asked, response: ServerResponse): void {
    this.asked.push(asked);
    const found = this.faults.find(({ fault, left }) => left > 0 && fault.when(asked));
    if (found !== undefined) found.left -= 1;
    const fault = found?.fault;
    if (fault !== undefined && fault.late !== true && fault.status !== undefined) {
      refuse(response, fault.status, fault.code ?? "InternalError");
      return;
    }
    if (fault?.late === true) {
      this.#act(asked);
      response.destroy();
      return;
    }
    const { status, headers = {}, body = Buffer.alloc(0), code } = this.#act(asked);
    if (code !== undefined) refuse(response, status, code);
    else {
      response.writeHead(status, { "last-modified": new Date(0).toUTCString(), ...headers, ...fault?.headers });
      response.end(asked.method === "HEAD" ? undefined : body);
    }
  }

  #act({ method, name, query, headers, body }: Asked): {
    readonly status: number;
    readonly headers?: Record<string, string>;
    readonly body?: Buffer;
    readonly code?: string;
  } {
    const comp = query.get("comp");
    const blob = this.blobs.get(name);
    if (method === "PUT" && comp === "block") {
      const blocks = this.waiting.get(name) ?? new Map<string, Buffer>();
      blocks.set(query.get("blockid") as string, body);
      this.waiting.set(name, blocks);
      return { status: 201 };
    }
    if (method === "GET" && comp === "blocklist") {
      const committed = query.get("blocklisttype") === "committed";
      if (blob === undefined && !this.waiting.has(name)) return { status: 404, code: "BlobNotFound" };
      const names: [string, number][] = committed
        ? (blob?.blocks ?? []).map((block) => [block, 1])
        : [...(this.waiting.get(name) ?? [])].map(([block, bytes]) => [block, bytes.length]);
      const list = names.map(([block, size]) => `<Block><Name>${block}</Name><Size>${size}</Size></Block>`).join("");
      const tag = committed ? "CommittedBlocks" : "UncommittedBlocks";
      const text = `<?xml version="1.0"?><BlockList><${tag}>${list}</${tag}></BlockList>`;
      return { status: 200, headers: { "content-type": "application/xml" }, body: Buffer.from(text) };
    }
    if (method === "PUT") {
      const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
      if (ifNoneMatch === "*" && blob !== undefined) return { status: 409, code: "BlobAlreadyExists" };
      if (ifMatch !== undefined && blob?.etag !== ifMatch)
        return blob === undefined ? { status: 404, code: "BlobNotFound" } : { status: 412, code: "ConditionNotMet" };
      const metadata = Object.fromEntries(
        Object.entries(headers).flatMap(([key, value]) =>
          key.startsWith("x-ms-meta-") ? [[key.slice("x-ms-meta-".length), String(value)]] : [],
        ),
      );
      const blocks =
        comp === "blocklist"
          ? [...body.toString().matchAll(/<Latest>([^<]+)<\/Latest>/g)].map(([, id]) => id as string)
          : [];
      const bytes =
        comp === "blocklist"
          ? Buffer.concat(blocks.map((id) => this.waiting.get(name)?.get(id) ?? Buffer.alloc(0)))
          : body;
      const md5 = headers["x-ms-blob-content-md5"] as string | undefined;
      this.put(name, bytes, { metadata, blocks, ...(md5 === undefined ? {} : { md5 }) });
      return { status: 201, headers: { etag: this.blobs.get(name)?.etag as string } };
    }
    if (method === "DELETE") {
      this.blobs.delete(name);
      return blob === undefined ? { status: 404, code: "BlobNotFound" } : { status: 202 };
    }
    if (blob === undefined) return { status: 404, code: "BlobNotFound" };
    const shown = Object.fromEntries(Object.entries(blob.metadata).map(([key, value]) => [`x-ms-meta-${key}`, value]));
    return {
      status: 200,
      headers: {
        etag: blob.etag,
        "content-length": String(blob.bytes.length),
        ...(blob.md5 === undefined ? {} : { "content-md5": blob.md5 }),
        ...shown,
      },
      body: blob.bytes,
    };
  }

  put(name: string, bytes: Buffer | string, more: Partial<Blob> = {}): void {
    this.#etags += 1;
    this.waiting.delete(name);
    this.blobs.set(name, {
      bytes: Buffer.from(bytes),
      etag: `"${this.#etags}"`,
      metadata: {},
      blocks: [],
      ...more,
    });
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/xml", "x-ms-error-code": code });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>so it is</Message></Error>`);
}

/** A store whose large parts are cut into blocks of four bytes. */
export async function start(
  config: { readonly uploadBufferBytes?: number } = {},
): Promise<{ store: Store; service: BlobService }> {
  const service = new BlobService();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "", "http://blobs");
      const name = decodeURIComponent(url.pathname).split("/").slice(3).join("/");
      const { method = "", headers } = request;
      service.answer({ method, name, query: url.searchParams, headers, body: Buffer.concat(chunks) }, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/test`;
  const store = await createAzureStore(
    { container: "container", endpoint, ...ACCOUNT, ...config },
    { clock: impatientClock, streamedBlockBytes: 4 },
  );
  return { store, service };
}
