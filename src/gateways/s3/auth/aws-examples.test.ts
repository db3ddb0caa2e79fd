import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { EMPTY_SHA256 } from "../../../core/sigv4.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Authenticated } from "./index.ts";
import { createGate } from "./index.ts";
import { accessKey, fakeRequest, targetOf } from "./testing/gate-server.ts";

/** The examples of the S3 API reference: key, date, requests and signatures are theirs. */
const key = accessKey({ secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" });
const host = "examplebucket.s3.amazonaws.com";
const date = "20130524T000000Z";
const noResponse = {} as ServerResponse;

function enter(request: Parameters<typeof fakeRequest>[0], nowMs = Date.UTC(2013, 4, 24)): Authenticated {
  const gate = createGate({
    findAccessKey: (id) => (id === key.id ? key : undefined),
    clock: { ...systemClock, nowMs: () => nowMs },
    settings: { region: "us-east-1", bodyIdleMs: 1_000, signatureV2: true },
  });
  const http: IncomingMessage = fakeRequest(request);
  return gate.authenticate(http, noResponse, targetOf(http)) as Authenticated;
}

async function bodyOf({ body }: Authenticated): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.stream()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const authorization = (signedHeaders: string, signature: string): string =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`;

describe("the examples of the S3 reference", () => {
  it.each([
    [
      "GET object",
      {
        method: "GET",
        url: "/test.txt",
        headers: { Host: host, Range: "bytes=0-9", "x-amz-content-sha256": EMPTY_SHA256 },
      },
      "host;range;x-amz-content-sha256;x-amz-date",
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ],
    [
      "PUT object",
      {
        method: "PUT",
        url: "/test$file.text",
        headers: {
          Date: "Fri, 24 May 2013 00:00:00 GMT",
          Host: host,
          "x-amz-storage-class": "REDUCED_REDUNDANCY",
          "x-amz-content-sha256": createHash("sha256").update("Welcome to Amazon S3.").digest("hex"),
        },
        body: "Welcome to Amazon S3.",
      },
      "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ],
    [
      "GET bucket lifecycle",
      { method: "GET", url: "/?lifecycle", headers: { Host: host, "x-amz-content-sha256": EMPTY_SHA256 } },
      "host;x-amz-content-sha256;x-amz-date",
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ],
    [
      "GET bucket (list objects)",
      { method: "GET", url: "/?max-keys=2&prefix=J", headers: { Host: host, "x-amz-content-sha256": EMPTY_SHA256 } },
      "host;x-amz-content-sha256;x-amz-date",
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ],
  ])("hold: %s", (_title, request, signedHeaders, signature) => {
    const headers = { ...request.headers, "x-amz-date": date, Authorization: authorization(signedHeaders, signature) };
    expect(enter({ ...request, headers }).identity).toMatchObject({ kind: "user", user: "alice", accessKeyId: key.id });
    const spaced = { ...headers, Authorization: headers.Authorization.replaceAll(",", ", ") };
    expect(enter({ ...request, headers: spaced }).identity.kind).toBe("user");
    const wrong = { ...headers, Authorization: authorization(signedHeaders, signature.replace(/.$/, "0")) };
    expect(() => enter({ ...request, headers: wrong })).toThrow(/signature we calculated/);
    expect(() => enter({ ...request, url: `${request.url}x`, headers })).toThrow(/signature we calculated/);
    expect(() => enter({ ...request, method: "DELETE", headers })).toThrow(/signature we calculated/);
  });

  it("hold: a presigned address, until it expires", () => {
    const url =
      "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    const request = { method: "GET", url, headers: { Host: host } };
    expect(enter(request).identity.user).toBe("alice");
    expect(enter(request, Date.UTC(2013, 4, 25)).identity.user).toBe("alice");
    expect(() => enter(request, Date.UTC(2013, 4, 25) + 1)).toThrow("Request has expired");
    expect(() => enter(request, Date.UTC(2013, 4, 23, 23, 44))).toThrow("Request is not yet valid");
  });

  const content = Buffer.alloc(66_560, "a");
  const chunk = (bytes: Buffer, signature: string): Buffer =>
    Buffer.concat([
      Buffer.from(`${bytes.byteLength.toString(16)};chunk-signature=${signature}\r\n`),
      bytes,
      Buffer.from("\r\n"),
    ]);

  it("hold: an upload in chunks, with three signatures in a chain", async () => {
    const signatures = [
      "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ] as const;
    const request = {
      method: "PUT",
      url: "/examplebucket/chunkObject.txt",
      headers: {
        Host: "s3.amazonaws.com",
        "x-amz-date": date,
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        Authorization: authorization(
          "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "Content-Length": "66824",
      },
    };
    const body = [
      chunk(content.subarray(0, 65_536), signatures[0]),
      chunk(content.subarray(65_536), signatures[1]),
      chunk(Buffer.alloc(0), signatures[2]),
    ];
    const passed = enter({ ...request, body });
    expect(passed.body.sizeBytes).toBe(66_560);
    expect((await bodyOf(passed)).equals(content)).toBe(true);
    // Cut anywhere, the same bytes are the same body.
    const whole = Buffer.concat(body);
    const cut = Array.from({ length: Math.ceil(whole.byteLength / 997) }, (_, index) =>
      whole.subarray(index * 997, index * 997 + 997),
    );
    expect((await bodyOf(enter({ ...request, body: cut }))).equals(content)).toBe(true);
    const changed = Buffer.from(whole);
    changed[70_000 % whole.byteLength] = 0x62;
    changed[100] = 0x62;
    await expect(bodyOf(enter({ ...request, body: changed }))).rejects.toThrow(/signature we calculated/);
    await expect(bodyOf(enter({ ...request, body: body.slice(0, 2) }))).rejects.toThrow(/ends before its last chunk/);
    await expect(
      bodyOf(enter({ ...request, body: [body[1] as Buffer, body[0] as Buffer, body[2] as Buffer] })),
    ).rejects.toThrow(/signature we calculated/);
  });

  it("hold: an upload in chunks with a trailing checksum", async () => {
    const request = {
      method: "PUT",
      url: "/examplebucket/chunkObject.txt",
      headers: {
        Host: "s3.amazonaws.com",
        "x-amz-date": date,
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        Authorization: authorization(
          "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        ),
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "x-amz-trailer": "x-amz-checksum-crc32c",
        "Content-Length": "66946",
      },
    };
    const lines = (end: string): Buffer[] => [
      chunk(content.subarray(0, 65_536), "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
      chunk(content.subarray(65_536), "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
      Buffer.from("0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"),
      Buffer.from(`x-amz-checksum-crc32c:sOO8/Q==${end}`),
      Buffer.from(`x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n`),
    ];
    for (const end of ["\r\n", "\n\r\n"]) {
      const passed = enter({ ...request, body: lines(end) });
      expect((await bodyOf(passed)).equals(content)).toBe(true);
      expect(passed.body.checksum()).toEqual({ algorithm: "CRC32C", kind: "full", value: "sOO8/Q==" });
    }
    await expect(bodyOf(enter({ ...request, body: lines("\r\n").slice(0, 3) }))).rejects.toThrow(
      /before its last chunk|announces/,
    );
    await expect(bodyOf(enter({ ...request, body: lines("\r\n").slice(0, 4) }))).rejects.toThrow(/no signature/);
  });
});
