import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { PieceShare } from "../../core/async/piece-share.ts";
import type { OpenedRange } from "../../coordinator/index.ts";
import { pump } from "./pump.ts";

const PIECE_BYTES = 64 * 1024;
const PIECES = 64;

it("Pieces are used again while several answers are sent, and no client sees bytes of another", async () => {
  const share = new PieceShare({ totalBytes: 16 * PIECE_BYTES, leastBytes: PIECE_BYTES, mostBytes: PIECE_BYTES });
  const seen = new Set<Buffer>();
  const streamOf = async function* (mark: number): AsyncGenerator<Uint8Array> {
    for (let piece = 0; piece < PIECES; piece++) {
      const bytes = share.lend(PIECE_BYTES);
      seen.add(bytes);
      yield bytes.fill(mark);
    }
  };
  const server = http.createServer((request, response) => {
    const stream = streamOf(Number(request.url?.slice(1)));
    const opened: OpenedRange = {
      start: 0,
      end: PIECES * PIECE_BYTES,
      stream,
      source: "test",
      cancel: () => undefined,
    };
    void pump(response, opened, new AbortController().signal).then(() => response.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const wrong = await Promise.all(
      [1, 2, 3, 4].map(async (mark) => {
        const bytes = Buffer.from(await (await fetch(`http://127.0.0.1:${port}/${mark}`)).arrayBuffer());
        expect(bytes.length).toBe(PIECES * PIECE_BYTES);
        return bytes.findIndex((byte) => byte !== mark);
      }),
    );
    expect(wrong).toEqual([-1, -1, -1, -1]);
    expect(seen.size).toBeLessThan(PIECES);
  } finally {
    server.close();
  }
});
