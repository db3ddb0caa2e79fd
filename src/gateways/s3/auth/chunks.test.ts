import type { ServerResponse } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGate } from "./index.ts";
import { fakeRequest, type GateServer, startGateServer, targetOf } from "./testing/gate-server.ts";
import { clock, codeOf, type Headers, key, resultOf, send as sendTo, sign, usual, type Wire } from "./testing/wire.ts";

let server: GateServer;
beforeAll(async () => {
  server = await startGateServer({ keys: [key], clock, bodyIdleMs: 150 });
});
afterAll(async () => await server.close());
const send = async (wire: Wire): Promise<string> => await sendTo(server.port, wire);

describe("chunked framing", () => {
  const content = Buffer.from("0123456789abcdef".repeat(600));
  const trailerHeaders = (mode: string, sizeBytes = content.byteLength): Headers =>
    usual(mode, {
      "x-amz-decoded-content-length": String(sizeBytes),
      "x-amz-trailer": "x-amz-checksum-crc32",
      "content-encoding": "gzip,aws-chunked",
    });
  const crc = "x-amz-checksum-crc32:VKXOZg==";

  async function unsigned(
    body: string | Buffer,
    headers = trailerHeaders("STREAMING-UNSIGNED-PAYLOAD-TRAILER", 5),
  ): Promise<string> {
    return await send({ headers: { ...headers, authorization: sign(headers).authorization }, body });
  }
  const hello = "x-amz-checksum-crc32:NhCmhg==";

  it("without signatures passes with its trailer, in one chunk or many", async () => {
    for (const body of [
      `5\r\nhello\r\n0\r\n${hello}\r\n\r\n`,
      `2\r\nhe\r\n3\r\nllo\r\n0\r\n${hello}\r\n\r\n`,
      `0005\r\nhello\r\n0\r\n${hello}\r\n`,
    ]) {
      expect(resultOf(await unsigned(body))).toMatchObject({
        body: "hello",
        sizeBytes: 5,
        encoding: "gzip",
        checksum: { algorithm: "CRC32", kind: "full", value: "NhCmhg==" },
      });
    }
  });

  it.each<[string, string, string]>([
    ["a chunk longer than it says", `4\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "InvalidRequest"],
    ["a chunk shorter than it says", `6\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "IncompleteBody"],
    ["more bytes than were announced", `5\r\nhello\r\n1\r\n!\r\n0\r\n${hello}\r\n\r\n`, "IncompleteBody"],
    ["fewer bytes than were announced", `4\r\nhell\r\n0\r\n${hello}\r\n\r\n`, "IncompleteBody"],
    ["no last chunk", "5\r\nhello\r\n", "IncompleteBody"],
    ["no trailer", "5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError"],
    [
      "another trailer",
      "5\r\nhello\r\n0\r\nx-amz-checksum-sha1:qvTGHdzF6KLavt4PO0gs2a6pQ00=\r\n\r\n",
      "MalformedTrailerError",
    ],
    ["a trailer twice", `5\r\nhello\r\n0\r\n${hello}\r\n${hello}\r\n\r\n`, "MalformedTrailerError"],
    ["a trailer of no sense", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32\r\n\r\n", "MalformedTrailerError"],
    ["a trailer of another size", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n", "MalformedTrailerError"],
    ["a wrong trailer", `5\r\nhello\r\n0\r\n${crc}\r\n\r\n`, "BadDigest"],
    ["bytes behind its end", `5\r\nhello\r\n0\r\n${hello}\r\n\r\nGET / HTTP/1.1\r\n`, "InvalidRequest"],
    ["a size that is no number", `g\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "InvalidRequest"],
    ["a negative size", `-5\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "InvalidRequest"],
    ["a size of too many digits", `${"0".repeat(20)}5\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "InvalidRequest"],
    ["an extension", `5;a=b\r\nhello\r\n0\r\n${hello}\r\n\r\n`, "InvalidRequest"],
    [
      "a signature where none belongs",
      `5;chunk-signature=${"0".repeat(64)}\r\nhello\r\n0\r\n${hello}\r\n\r\n`,
      "InvalidRequest",
    ],
    ["a header without an end", "5".repeat(1_000), "InvalidRequest"],
    ["bare line feeds", `5\nhello\n0\n${hello}\n\n`, "InvalidRequest"],
    ["nothing", "", "IncompleteBody"],
  ])("with %s is refused", async (_title, body, code) => {
    expect(codeOf(await unsigned(body))).toBe(code);
  });

  it("needs its decoded length", async () => {
    const { "x-amz-decoded-content-length": _, ...headers } = trailerHeaders("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    expect(codeOf(await unsigned("", headers))).toBe("MissingContentLength");
    expect(codeOf(await unsigned("", { ...headers, "x-amz-decoded-content-length": "five" }))).toBe("InvalidArgument");
    expect(codeOf(await unsigned("", { ...headers, "x-amz-decoded-content-length": "5" }))).toBe("IncompleteBody");
    expect(
      codeOf(await unsigned("", { ...headers, "x-amz-decoded-content-length": "0", "x-amz-trailer": "x-odd" })),
    ).toBe("InvalidRequest");
  });

  const { "x-amz-trailer": _unused, ...plainHeaders } = trailerHeaders("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const withTrailer = trailerHeaders("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
  const cut = (count: number): Buffer[] =>
    Array.from({ length: count }, (_, index) =>
      content.subarray((index * content.byteLength) / count, ((index + 1) * content.byteLength) / count),
    );
  function bodyOf(headers: Headers, count: number): { readonly body: Buffer; readonly authorization: string } {
    const signed = sign(headers);
    const chunks = [...cut(count), Buffer.alloc(0)].map((bytes) => signed.chunk(bytes));
    const end = headers === withTrailer ? signed.trailer(`${contentCrc}\n`) : "\r\n";
    return { body: Buffer.concat([...chunks, Buffer.from(end)]), authorization: signed.authorization };
  }
  const contentCrc = `x-amz-checksum-crc32:${crcOf(content)}`;

  it("with signatures passes, with and without a trailer", async () => {
    for (const headers of [plainHeaders, withTrailer]) {
      for (const count of [1, 2, 5]) {
        const { body, authorization } = bodyOf(headers, count);
        const passed = resultOf(await send({ headers: { ...headers, authorization }, body }));
        expect(passed.body === content.toString("latin1")).toBe(true);
        expect(passed.user).toBe("gwen");
      }
    }
  });

  it("lets no changed, cut, doubled or exchanged byte of a signed body through", async () => {
    const gate = createGate({
      findAccessKey: () => key,
      clock,
      settings: { region: "us-east-1", bodyIdleMs: 5_000, signatureV2: true },
    });
    const read = async (headers: Headers, body: Buffer): Promise<string> => {
      const http = fakeRequest({ method: "PUT", url: "/bucket/key", headers, body });
      const { body: gated } = await gate.authenticate(http, {} as ServerResponse, targetOf(http));
      const chunks: Uint8Array[] = [];
      for await (const chunk of gated.stream()) chunks.push(chunk);
      return Buffer.concat(chunks).toString("latin1");
    };
    const change = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom("flip", "cut", "double", "drop", "insert"),
      bits: fc.integer({ min: 1, max: 255 }),
      trailer: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, kind, bits, trailer }) => {
        const headers = trailer ? withTrailer : plainHeaders;
        const { body, authorization } = bodyOf(headers, 3);
        const place = at % body.byteLength;
        const [before, byte, after] = [body.subarray(0, place), body[place] as number, body.subarray(place + 1)];
        const changed = {
          flip: () => [before, Buffer.from([byte ^ bits]), after],
          cut: () => [before],
          double: () => [before, Buffer.from([byte, byte]), after],
          drop: () => [before, after],
          insert: () => [before, Buffer.from([bits, byte]), after],
        }[kind as "flip"]();
        const outcome = await read(
          { ...headers, authorization, "content-length": "99999" },
          Buffer.concat(changed),
        ).catch((error: unknown) => error);
        // Some bytes say nothing, such as the empty line at the very end: what passes must be the body that was signed.
        if (outcome !== content.toString("latin1"))
          expect(outcome).toMatchObject({ name: "GfsError", code: expect.not.stringMatching("Internal") });
      }),
      { numRuns: 400 },
    );
  });

  function crcOf(bytes: Buffer): string {
    let sum = 0xffffffff;
    for (const byte of bytes) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    const out = Buffer.alloc(4);
    out.writeUInt32BE((sum ^ 0xffffffff) >>> 0);
    return out.toString("base64");
  }
});
