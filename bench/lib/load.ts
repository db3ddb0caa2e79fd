import net from "node:net";

/**
 * A closed-loop HTTP/1.1 load generator over raw sockets: each connection sends the same request, reads the whole answer by its
 * Content-Length, and sends the next. It costs less than any HTTP client, so that the server is what is measured.
 */
export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** For so long; or so many requests. */
  readonly durationMs?: number;
  readonly requests?: number;
  /** The whole request as bytes; called for each, so that keys may differ. */
  readonly request: (sequence: number) => Uint8Array;
  readonly expectedStatus: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
}

export async function generateLoad(options: LoadOptions): Promise<LoadResult> {
  let requests = 0;
  let sequence = 0;
  const startedMs = performance.now();
  const until = startedMs + (options.durationMs ?? Number.POSITIVE_INFINITY);
  const most = options.requests ?? Number.POSITIVE_INFINITY;
  const status = `HTTP/1.1 ${options.expectedStatus} `;

  const runConnection = async (): Promise<void> => {
    const socket = net.connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      let buffered: Buffer = Buffer.alloc(0);
      const send = (): void => {
        socket.write(options.request(sequence++));
      };
      socket.on("connect", send);
      socket.on("error", reject);
      socket.on("close", () => resolve());
      socket.on("data", (chunk: Buffer) => {
        buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
        const size = answerSize(buffered);
        if (size === undefined || buffered.length < size) return;
        if (!buffered.subarray(0, status.length).equals(Buffer.from(status))) {
          socket.destroy();
          reject(new Error(`Unexpected answer: ${buffered.subarray(0, 300).toString()}`));
          return;
        }
        buffered = buffered.subarray(size);
        requests += 1;
        if (performance.now() < until && sequence < most) send();
        else socket.end();
      });
    });
  };
  await Promise.all(Array.from({ length: options.connections }, runConnection));
  return { requests, perSecond: requests / ((performance.now() - startedMs) / 1_000) };
}

function answerSize(buffered: Buffer): number | undefined {
  const headerEnd = buffered.indexOf("\r\n\r\n");
  if (headerEnd === -1) return undefined;
  const header = buffered.subarray(0, headerEnd).toString("latin1");
  const length = /\r\ncontent-length: *(\d+)/i.exec(header);
  return headerEnd + 4 + Number(length?.[1] ?? 0);
}
