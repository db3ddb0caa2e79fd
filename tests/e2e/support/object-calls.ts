import { Readable } from "node:stream";
import { Agent, request } from "undici";

/** Objects over plain HTTP, without the project's own client: a status is an answer, a broken connection an exception. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface ObjectCalls {
  put(key: string, body: Buffer, streamed: boolean): Promise<Answer>;
  get(key: string): Promise<Answer>;
  delete(key: string): Promise<Answer>;
  rename(from: string, to: string, overwrite: boolean): Promise<Answer>;
  json(path: string): Promise<unknown>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 30_000;

export function connect(url: string): ObjectCalls {
  const dispatcher = new Agent({ connections: 32, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  const place = (key: string): string => `${url}/api/v1/objects/${key.split("/").map(encodeURIComponent).join("/")}`;
  const send = async (where: string, options: Parameters<typeof request>[1]): Promise<Answer> => {
    const { statusCode, body } = await request(where, { dispatcher, ...options });
    return { status: statusCode, body: Buffer.from(await body.arrayBuffer()) };
  };
  return {
    put: async (key, body, streamed) =>
      await send(place(key), { method: "PUT", body: streamed ? Readable.from(inPieces(body)) : body }),
    get: async (key) => await send(place(key), { method: "GET" }),
    delete: async (key) => await send(place(key), { method: "DELETE" }),
    rename: async (from, to, overwrite) =>
      await send(`${url}/api/v1/rename`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ from, to, overwrite }),
      }),
    async json(path) {
      const { status, body } = await send(url + path, { method: "GET" });
      if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body.toString()}`);
      return JSON.parse(body.toString());
    },
    close: async () => await dispatcher.destroy(),
  };
}

const PIECE_BYTES = 60_000;

async function* inPieces(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}
