import net from "node:net";

/**
 * HTTP/1.1 over a raw socket, one request at a time: it reads the head of the answer, counts the body and throws it away. It costs a fraction
 * of any HTTP client, so that the server is what is measured.
 */
export interface RawRequest {
  readonly head: Uint8Array;
  /** Sent `bodyTimes` times behind the head. */
  readonly body?: Uint8Array;
  readonly bodyTimes?: number;
}

export interface RawAnswer {
  readonly status: number;
  readonly bodyBytes: number;
  /** The first bytes of the body, to say what went wrong. */
  readonly beginning: string;
}

/** Servers that hang are told apart from those that are slow. */
const SILENCE_MS = 60_000;

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

export class RawConnection {
  readonly #socket: net.Socket;
  #head: Buffer = Buffer.alloc(0);
  #left = -1;
  #chunked = false;
  #tail: Buffer = Buffer.alloc(0);
  #status = 0;
  #bodyBytes = 0;
  #beginning = "";
  #resolve: (answer: RawAnswer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#reject(error));
    socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error("Nothing came for a minute.")));
    socket.on("close", () => this.#reject(new Error("The server closed the connection.")));
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawConnection(socket);
  }

  async exchange({ head, body, bodyTimes = 1 }: RawRequest): Promise<RawAnswer> {
    this.#left = -1;
    this.#chunked = false;
    this.#bodyBytes = 0;
    this.#beginning = "";
    const answered = new Promise<RawAnswer>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (body === undefined) this.#socket.write(head);
    else await this.#sendBody(head, body, bodyTimes, answered);
    return await answered;
  }

  close(): void {
    this.#reject = () => undefined;
    this.#socket.destroy();
  }

  /** Stops sending when the answer comes first: the server refuses. */
  async #sendBody(head: Uint8Array, body: Uint8Array, times: number, answered: Promise<RawAnswer>): Promise<void> {
    this.#socket.cork();
    this.#socket.write(head);
    let fits = this.#socket.write(body);
    this.#socket.uncork();
    if (times === 1) return;
    const refused = new AbortController();
    const stop = answered.then(
      () => refused.abort(),
      () => refused.abort(),
    );
    for (let sent = 1; sent < times; sent++) {
      if (!fits) await Promise.race([stop, new Promise((resolve) => this.#socket.once("drain", resolve))]);
      if (refused.signal.aborted) return;
      fits = this.#socket.write(body);
    }
  }

  #take(chunk: Buffer): void {
    if (this.#left < 0 && !this.#chunked) {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf(HEAD_END);
      if (end === -1) return;
      const head = this.#head.toString("latin1", 0, end + 2).toLowerCase();
      const rest = this.#head.subarray(end + 4);
      this.#head = Buffer.alloc(0);
      this.#status = Number(head.slice(9, 12));
      const length = head.indexOf("\r\ncontent-length:");
      this.#chunked = length === -1 && head.includes("\r\ntransfer-encoding: chunked");
      this.#left = length === -1 ? 0 : Number.parseInt(head.slice(length + 17), 10);
      this.#tail = Buffer.alloc(0);
      this.#count(rest);
      return;
    }
    this.#count(chunk);
  }

  #count(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    if (this.#beginning.length < 300) this.#beginning += chunk.toString("latin1", 0, 300);
    if (this.#chunked) {
      this.#tail = Buffer.concat([this.#tail, chunk.subarray(-LAST_CHUNK.length)]).subarray(-LAST_CHUNK.length);
      if (!this.#tail.equals(LAST_CHUNK)) return;
    } else {
      this.#left -= chunk.length;
      if (this.#left > 0) return;
    }
    this.#chunked = false;
    this.#left = -1;
    this.#resolve({ status: this.#status, bodyBytes: this.#bodyBytes, beginning: this.#beginning });
  }
}

export interface RawLoad {
  readonly port: number;
  readonly connections: number;
  /** Ends after this time, or after `requests`, whichever comes first. */
  readonly durationMs: number;
  readonly requests?: number;
  readonly request: (sequence: number) => RawRequest;
  /** Every answer must have it. */
  readonly status: number;
}

export interface RawResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly receivedBytes: number;
  readonly seconds: number;
}

/** A closed loop: each connection sends its next request once it has the whole answer to the last one. */
export async function generateRawLoad(load: RawLoad): Promise<RawResult> {
  const connections = await Promise.all(
    Array.from({ length: load.connections }, async () => await RawConnection.open(load.port)),
  );
  let requests = 0;
  let sequence = 0;
  let receivedBytes = 0;
  const limit = load.requests ?? Number.POSITIVE_INFINITY;
  const startedMs = performance.now();
  const untilMs = startedMs + load.durationMs;
  const runConnection = async (connection: RawConnection): Promise<void> => {
    while (sequence < limit && performance.now() < untilMs) {
      const answer = await connection.exchange(load.request(sequence++));
      if (answer.status !== load.status) {
        throw new Error(`${answer.status} instead of ${load.status}: ${answer.beginning}`);
      }
      requests += 1;
      receivedBytes += answer.bodyBytes;
    }
  };
  try {
    await Promise.all(connections.map(runConnection));
  } finally {
    for (const connection of connections) connection.close();
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  return { requests, perSecond: requests / seconds, receivedBytes, seconds };
}
