import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createChecksum } from "../../../core/checksums.ts";
import { EMPTY_SHA256 } from "../../../core/sigv4.ts";
import { canonicalUserId } from "../../../security/index.ts";
import { createGate } from "./index.ts";
import { fakeRequest, type GateServer, sendRaw, startGateServer, targetOf } from "./testing/gate-server.ts";
import {
  amzDate,
  clock,
  codeOf,
  type Headers,
  headerText,
  host,
  key,
  resultOf,
  send as sendTo,
  sign,
  usual,
  type Wire,
} from "./testing/wire.ts";

let server: GateServer;
beforeAll(async () => {
  server = await startGateServer({ keys: [key], clock, bodyIdleMs: 150 });
});
afterAll(async () => await server.close());
const send = async (wire: Wire): Promise<string> => await sendTo(server.port, wire);

describe("a signed request", () => {
  const headers = usual();
  const { authorization } = sign(headers);

  it("passes with spaces or none in its header, whatever else it carries", async () => {
    for (const text of [authorization, authorization.replaceAll(",", ", "), authorization.replaceAll(",", " , ")]) {
      const answer = await send({
        headers: { ...headers, authorization: text, "user-agent": "x", accept: "*/*" },
        body: "b",
      });
      expect(resultOf(answer)).toMatchObject({ kind: "user", user: "gwen", body: "b" });
    }
  });

  it("passes with the date in the header Date alone, and with bytes beyond ASCII in a header", async () => {
    const dated = { host, date: "Sun, 07 Jun 2026 08:09:10 GMT", "x-amz-content-sha256": EMPTY_SHA256 };
    expect(resultOf(await send({ headers: { ...dated, authorization: sign(dated).authorization } })).user).toBe("gwen");
    const odd = usual("UNSIGNED-PAYLOAD", { "x-amz-meta-a": Buffer.from("grün  weiß").toString("latin1") });
    const http = fakeRequest({
      method: "PUT",
      url: "/bucket/key",
      headers: { ...odd, authorization: sign(odd).authorization },
    });
    const gate = createGate({
      findAccessKey: () => key,
      clock,
      settings: { region: "us-east-1", bodyIdleMs: 1_000, signatureV2: true },
    });
    expect(gate.authenticate(http, {} as ServerResponse, targetOf(http))).toMatchObject({
      identity: { user: "gwen", userId: canonicalUserId("gwen") },
    });
  });

  it("passes in every spelling of its address", async () => {
    const spellings: [sent: string, path: string, query: string][] = [
      ["/bucket/a b".replace(" ", "%20"), "/bucket/a%20b", ""],
      ["/bucket/a+b", "/bucket/a%2Bb", ""],
      ["/bucket/(x)", "/bucket/%28x%29", ""],
      ["/bucket/%c3%bc", "/bucket/%C3%BC", ""],
      ["/bucket/%7Ea", "/bucket/~a", ""],
      ["/bucket/a%2Fb", "/bucket/a/b", ""],
      ["/bucket/%c3%bc", "/bucket/%c3%bc", ""],
      ["/bucket//a/./b/../c", "/bucket//a/./b/../c", ""],
      ["/bucket/?b=2&a=1&a=0&c", "/bucket/", "a=0&a=1&b=2&c="],
      ["/bucket/?prefix=a+b&x=%2f", "/bucket/", "prefix=a%20b&x=%2F"],
      ["/bucket/?a=1&&b=2&", "/bucket/", "a=1&b=2"],
      ["/bucket/?uploads", "/bucket/", "uploads"],
      ["http://h/bucket/x?a", "/bucket/x", "a="],
    ];
    for (const [url, path, query] of spellings) {
      const { authorization: own } = sign(headers, { path, query });
      expect([url, codeOf(await send({ url, headers: { ...headers, authorization: own } }))]).toEqual([
        url,
        expect.stringContaining("gwen"),
      ]);
    }
  });

  it.each<[string, Headers, string]>([
    ["of another scheme", { authorization: "Bearer abc" }, "InvalidArgument"],
    ["of V4A", { authorization: authorization.replace("HMAC-SHA256", "ECDSA-P256-SHA256") }, "InvalidRequest"],
    ["with nothing behind the scheme", { authorization: "AWS4-HMAC-SHA256" }, "AuthorizationHeaderMalformed"],
    [
      "without a signature",
      { authorization: authorization.replace(/,Signature=.*/, "") },
      "AuthorizationHeaderMalformed",
    ],
    [
      "with two signatures",
      { authorization: `${authorization},Signature=${"0".repeat(64)}` },
      "AuthorizationHeaderMalformed",
    ],
    [
      "with half a credential",
      { authorization: authorization.replace("/s3/aws4_request", "") },
      "AuthorizationHeaderMalformed",
    ],
    ["for another service", { authorization: authorization.replace("/s3/", "/ec2/") }, "AuthorizationHeaderMalformed"],
    [
      "for another region",
      { authorization: authorization.replace("us-east-1", "eu-north-1") },
      "AuthorizationHeaderMalformed",
    ],
    [
      "of another day",
      { authorization: authorization.replace("20260607", "20260608") },
      "AuthorizationHeaderMalformed",
    ],
    [
      "without host among its headers",
      { authorization: authorization.replace("host;", "") },
      "AuthorizationHeaderMalformed",
    ],
    [
      "with headers out of order",
      { authorization: authorization.replace("host;x-amz-content-sha256", "x-amz-content-sha256;host") },
      "AuthorizationHeaderMalformed",
    ],
    [
      "that signs a header which is not there",
      { authorization: authorization.replace("host;", "host;range;") },
      "SignatureDoesNotMatch",
    ],
    [
      "with another signature",
      { authorization: authorization.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")) },
      "SignatureDoesNotMatch",
    ],
    ["of an unknown key", { authorization: authorization.replace("AKIDGATE", "AKIDOTHER") }, "InvalidAccessKeyId"],
    ["with a header that is not signed", { authorization, "x-amz-acl": "public-read" }, "AccessDenied"],
    ["with a token it should not have", { authorization, "x-amz-security-token": "t" }, "AccessDenied"],
    ["with another date", { authorization, "x-amz-date": "20260607T080911Z" }, "SignatureDoesNotMatch"],
    ["with no date that can be read", { authorization, "x-amz-date": "yesterday" }, "AccessDenied"],
    ["with a hash that is none", { authorization, "x-amz-content-sha256": "abc" }, "InvalidArgument"],
    ["with another hash", { authorization, "x-amz-content-sha256": EMPTY_SHA256 }, "SignatureDoesNotMatch"],
  ])("%s is refused", async (_title, changed, code) => {
    expect(codeOf(await send({ headers: { ...headers, ...changed } }))).toBe(code);
  });

  it("needs x-amz-content-sha256 when it has a body, and without one it is that of nothing", async () => {
    const bare = { host, "x-amz-date": amzDate };
    const own = { ...bare, authorization: sign(bare, { payload: EMPTY_SHA256 }).authorization };
    for (const method of ["PUT", "GET", "DELETE"]) {
      const { authorization: signed } = sign(bare, { method, payload: EMPTY_SHA256 });
      expect(resultOf(await send({ method, headers: { ...bare, authorization: signed } })).user).toBe("gwen");
    }
    const { authorization: ofGet } = sign(bare, { method: "GET", payload: EMPTY_SHA256 });
    const unframed = { ...bare, authorization: ofGet, connection: "close" };
    const get = await sendRaw(server.port, [`GET /bucket/key HTTP/1.1\r\n${headerText(unframed)}\r\n`]);
    expect(resultOf(get).user).toBe("gwen");
    expect(await send({ headers: own, body: "b" })).toMatch(/InvalidRequest.*x-amz-content-sha256/s);
    const chunked = { ...own, "transfer-encoding": "chunked" };
    for (const body of ["0\r\n\r\n", "1\r\nb\r\n0\r\n\r\n"])
      expect(await send({ headers: chunked, body })).toMatch(/InvalidRequest.*x-amz-content-sha256/s);
    const { authorization: unsigned } = sign(bare, { payload: "UNSIGNED-PAYLOAD" });
    expect(codeOf(await send({ headers: { ...bare, authorization: unsigned } }))).toBe("SignatureDoesNotMatch");
  });

  it("needs a date within 15 minutes", async () => {
    for (const [date, code] of [
      ["20260607T075409Z", "RequestTimeTooSkewed"],
      ["20260607T082411Z", "RequestTimeTooSkewed"],
      ["20260607T075410Z", "gwen"],
    ] as const) {
      const old = { ...headers, "x-amz-date": date };
      const { authorization: own } = sign(old, { amzDate: date });
      expect(codeOf(await send({ headers: { ...old, authorization: own } }))).toContain(code);
    }
  });

  it("is refused when a header that counts came twice", async () => {
    const lines = Object.entries({ ...headers, authorization, connection: "close" }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    for (const extra of [
      "X-Amz-Date: 20260607T080910Z",
      "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
      `Authorization: ${authorization}`,
    ]) {
      const answer = await sendRaw(server.port, [`GET /bucket/key HTTP/1.1\r\n${lines.join("")}${extra}\r\n\r\n`]);
      expect(codeOf(answer)).toBe("InvalidRequest");
    }
  });

  it("tells no secret and no right signature when it is refused", async () => {
    const wrong = authorization.replace(/[0-9a-f]{64}$/, "0".repeat(64));
    const answer = await send({ headers: { ...headers, authorization: wrong } });
    expect(codeOf(answer)).toBe("SignatureDoesNotMatch");
    expect(answer).not.toContain(key.secret);
    expect(answer).not.toContain(/[0-9a-f]{64}$/.exec(authorization)?.[0]);
  });

  it("passes the gate at once where the key is known at once, and after a promise elsewhere", async () => {
    const settings = { region: "us-east-1", bodyIdleMs: 1_000, signatureV2: true };
    const request = { method: "PUT", url: "/bucket/key", headers: { ...headers, authorization } };
    const enter = (findAccessKey: Parameters<typeof createGate>[0]["findAccessKey"]) => {
      const http = fakeRequest(request);
      return createGate({ findAccessKey, clock, settings }).authenticate(http, {} as ServerResponse, targetOf(http));
    };
    expect(enter(() => key)).not.toBeInstanceOf(Promise);
    await expect(enter(() => Promise.resolve(key))).resolves.toMatchObject({ identity: { user: "gwen" } });
    await expect(enter(() => Promise.resolve(undefined))).rejects.toThrow(/Access Key Id/);
  });
});

describe("an unsigned request", () => {
  it("is anonymous, and its body is checked all the same", async () => {
    expect(resultOf(await send({ headers: { host }, body: "b" }))).toMatchObject({
      kind: "anonymous",
      user: "",
      body: "b",
    });
    expect(resultOf(await send({ headers: { host, authorization: "" } })).kind).toBe("anonymous");
    expect(codeOf(await send({ headers: { host, "x-amz-content-sha256": EMPTY_SHA256 }, body: "b" }))).toBe(
      "XAmzContentSHA256Mismatch",
    );
  });

  it("may not bring signed chunks", async () => {
    const headers = {
      host,
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "x-amz-decoded-content-length": "0",
    };
    expect(codeOf(await send({ headers }))).toBe("AccessDenied");
  });
});

describe("a body", () => {
  const put = async (headers: Headers, body: Buffer | string, more: Headers = {}): Promise<string> =>
    await send({ headers: { ...headers, authorization: sign(headers).authorization, ...more }, body });
  const md5 = (text: string): string => createHash("md5").update(text).digest("base64");

  it("is held to its hash, its MD5 and its checksum", async () => {
    const sha256 = createHash("sha256").update("body").digest("hex");
    const sum = createChecksum("CRC32");
    sum.update(Buffer.from("body"));
    const value = sum.digest();
    const right = usual(sha256, { "content-md5": md5("body"), "x-amz-checksum-crc32": value });
    expect(resultOf(await put(right, "body"))).toMatchObject({
      body: "body",
      checksum: { algorithm: "CRC32", kind: "full", value },
    });
    expect(codeOf(await put(usual(sha256), "Body"))).toBe("XAmzContentSHA256Mismatch");
    expect(codeOf(await put(usual(sha256), ""))).toBe("XAmzContentSHA256Mismatch");
    expect(codeOf(await put(usual("UNSIGNED-PAYLOAD", { "content-md5": md5("x") }), "body"))).toBe("BadDigest");
    expect(
      codeOf(
        await put(usual("UNSIGNED-PAYLOAD", { "x-amz-checksum-sha1": Buffer.alloc(20).toString("base64") }), "body"),
      ),
    ).toBe("BadDigest");
  });

  it.each<[string, Headers, string]>([
    ["an MD5 that is none", { "content-md5": "abc" }, "InvalidDigest"],
    ["a checksum that is none", { "x-amz-checksum-crc32": "abc" }, "BadDigest"],
    ["two checksums", { "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA==" }, "InvalidRequest"],
    [
      "another algorithm than it names",
      { "x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "AAAAAA==" },
      "BadDigest",
    ],
    ["an algorithm that nobody knows", { "x-amz-sdk-checksum-algorithm": "MD4" }, "InvalidRequest"],
    ["a trailer where none can be", { "x-amz-trailer": "x-amz-checksum-crc32" }, "InvalidRequest"],
  ])("with %s is refused", async (_title, more, code) => {
    expect(codeOf(await put(usual("UNSIGNED-PAYLOAD", more), ""))).toBe(code);
  });

  it("that completes an upload is not held to the checksum of the object", async () => {
    const headers = usual("UNSIGNED-PAYLOAD", { "x-amz-checksum-crc32": "AAAAAA==" });
    const { authorization } = sign(headers, { method: "POST", query: "uploadId=u" });
    const answer = await send({
      method: "POST",
      url: "/bucket/key?uploadId=u",
      headers: { ...headers, authorization },
      body: "<xml/>",
    });
    expect(resultOf(answer).body).toBe("<xml/>");
  });

  it("needs a length or a transfer encoding, and all of its bytes", async () => {
    const headers = { ...usual(), authorization: sign(usual()).authorization };
    const lines = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    const request = `PUT /bucket/key HTTP/1.1\r\nconnection: close\r\n${lines}`;
    expect(await sendRaw(server.port, [`${request}\r\n`])).toMatch(/^HTTP\/1\.1 411.*MissingContentLength/s);
    expect(
      resultOf(await sendRaw(server.port, [`${request}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`])).body,
    ).toBe("abc");
  });

  it("that stops coming is given up, with an answer", async () => {
    const headers = { ...usual(), authorization: sign(usual()).authorization, "content-length": "10" };
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () =>
        socket.write(`PUT /bucket/key HTTP/1.1\r\n${headerText(headers)}\r\nabc`),
      );
      let received = "";
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString("latin1");
        if (received.endsWith("</Error>")) socket.destroy();
      });
      socket.on("close", () => resolve(received));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400.*RequestTimeout/s);
  });

  it("that breaks off is an error to its reader, and its connection is gone", async () => {
    const headers = { ...usual(), authorization: sign(usual()).authorization, "content-length": "10" };
    const answer = await sendRaw(server.port, [`PUT /bucket/key HTTP/1.1\r\n${headerText(headers)}\r\nabc`]);
    expect(answer === "" || codeOf(answer) === "IncompleteBody" || answer.startsWith("HTTP/1.1 400")).toBe(true);
    expect(answer).not.toMatch(/^HTTP\/1\.1 200/);
  });

  it("waits for a word where the client does, and not before the signature holds", async () => {
    const headers = { ...usual(), authorization: sign(usual()).authorization, expect: "100-continue" };
    expect(await send({ headers, body: "abc" })).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
    const wrong = { ...headers, authorization: headers.authorization.replace("AKIDGATE", "AKIDOTHER") };
    expect(await send({ headers: wrong, body: "abc" })).toMatch(/^HTTP\/1\.1 403/);
  });
});
