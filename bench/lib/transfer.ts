import { Readable } from "node:stream";
import { Pool } from "undici";

export interface TransferOptions {
  readonly url: string;
  readonly sizeBytes: number;
  readonly parallel: number;
}

export interface TransferRates {
  readonly putMegabytesPerSecond: number;
  readonly getMegabytesPerSecond: number;
}

const CHUNK = Buffer.alloc(256 * 1024, 0x5a);

function* body(sizeBytes: number): Generator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= CHUNK.length)
    yield left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
}

/** Puts and gets an object of the given size, `parallel` of them at once under different names; all together count. */
export async function measureTransfers({ url, sizeBytes, parallel }: TransferOptions): Promise<TransferRates> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: parallel, headersTimeout: 300_000, bodyTimeout: 300_000 });
  const name = (index: number): string => (parallel === 1 ? pathname : `${pathname}-${index}`);
  const all = async (work: (index: number) => Promise<void>): Promise<number> => {
    const startedMs = performance.now();
    await Promise.all(Array.from({ length: parallel }, async (_, index) => await work(index)));
    return (sizeBytes * parallel) / 1e6 / ((performance.now() - startedMs) / 1_000);
  };
  try {
    const putMegabytesPerSecond = await all(async (index) => {
      const answer = await pool.request({
        method: "PUT",
        path: name(index),
        headers: { "content-length": String(sizeBytes) },
        body: Readable.from(body(sizeBytes), { objectMode: false, highWaterMark: 1 << 20 }),
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 201) throw new Error(`PUT answered ${answer.statusCode}: ${text}`);
    });
    const getMegabytesPerSecond = await all(async (index) => {
      const answer = await pool.request({ method: "GET", path: name(index) });
      let received = 0;
      for await (const chunk of answer.body) received += (chunk as Buffer).length;
      if (answer.statusCode !== 200 || received !== sizeBytes)
        throw new Error(`GET answered ${answer.statusCode} with ${received} bytes`);
    });
    return { putMegabytesPerSecond, getMegabytesPerSecond };
  } finally {
    await pool.close();
  }
}
