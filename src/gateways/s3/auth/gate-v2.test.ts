import { createHash, createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EMPTY_SHA256 } from "../../../core/sigv4.ts";
import { parseTarget } from "../wire/target.ts";
import { createGate } from "./index.ts";
import { accessKey, fakeRequest, type GateServer, startGateServer } from "./testing/gate-server.ts";
import { clock, codeOf, type Headers, host, key, nowMs, resultOf, send as sendTo, type Wire } from "./testing/wire.ts";

const date = "Sun, 07 Jun 2026 08:09:10 GMT";
const inAnHour = String(nowMs / 1_000 + 3_600);
const temporary = accessKey({ id: "AKIDTEMP", secret: "temp-secret", user: "tom", sessionToken: "a-token" });
let server: GateServer;
let without: GateServer;
beforeAll(async () => {
  server = await startGateServer({ keys: [key, temporary], clock });
  without = await startGateServer({ keys: [key], clock, signatureV2: false });
});
afterAll(async () => {
  await server.close();
  await without.close();
});
const send = async (wire: Wire): Promise<string> => await sendTo(server.port, wire);

/** A second, plain implementation: the lines are written out by each test. */
function signatureOf(lines: readonly string[], { secret } = key): string {
  return createHmac("sha1", secret).update(lines.join("\n")).digest("base64");
}

interface Signing {
  readonly method?: string;
  readonly md5?: string;
  readonly type?: string;
  readonly date?: string;
  /** `name:value` lines. */
  readonly amz?: readonly string[];
  readonly resource?: string;
  readonly by?: typeof key;
}

function sign(signing: Signing = {}): Headers {
  const { method = "PUT", md5 = "", type = "", amz = [], resource = "/bucket/key", by = key } = signing;
  const signature = signatureOf([method, md5, type, signing.date ?? date, ...amz, resource], by);
  return { host, date, authorization: `AWS ${by.id}:${signature}` };
}

function presign(signing: Signing & { readonly query?: string; readonly path?: string } = {}): string {
  const { method = "GET", md5 = "", type = "", amz = [], resource = "/bucket/key", by = key } = signing;
  const expires = signing.date ?? inAnHour;
  const signature = signatureOf([method, md5, type, expires, ...amz, resource], by);
  const query = signing.query === undefined ? "" : `${signing.query}&`;
  const path = signing.path ?? "/bucket/key";
  return `${path}?${query}AWSAccessKeyId=${by.id}&Signature=${encodeURIComponent(signature)}&Expires=${expires}`;
}

describe("a request with Signature Version 2 in its header", () => {
  it("passes with Date, with x-amz-date in either place, and with everything that is signed", async () => {
    expect(resultOf(await send({ headers: sign(), body: "b" }))).toMatchObject({ user: "gwen", body: "b" });
    const other = "Sun, 07 Jun 2026 08:00:00 GMT";
    const amzDate = { "x-amz-date": date };
    for (const signed of [sign({ date: "", amz: [`x-amz-date:${date}`] }), sign()]) {
      expect(resultOf(await send({ headers: { ...signed, date: other, ...amzDate } })).user).toBe("gwen");
    }
    const md5 = createHash("md5").update("b").digest("base64");
    const full = {
      ...sign({ md5, type: "text/plain", amz: ["x-amz-acl:private", "x-amz-meta-a:1,2"] }),
      "content-md5": md5,
      "content-type": "text/plain",
      "x-amz-meta-a": "1,2",
      "x-amz-acl": "private",
    };
    expect(resultOf(await send({ headers: full, body: "b" }))).toMatchObject({ acl: "private", body: "b" });
  });

  it.each([
    ["/bucket", "/bucket"],
    ["/bucket", "/bucket/"],
    ["/bucket/", "/bucket"],
    ["/bucket?acl", "/bucket/?acl"],
    ["/bucket?uploads=", "/bucket/?uploads"],
    ["/bucket?uploads", "/bucket/?uploads="],
    ["/bucket/?max-keys=2&prefix=a", "/bucket/"],
    ["/bucket/%c3%bc", "/bucket/%c3%bc"],
    ["/bucket/%c3%bc", "/bucket/%C3%BC"],
    ["/bucket/key?uploadId=u&partNumber=2&x=y", "/bucket/key?partNumber=2&uploadId=u"],
    ["/bucket/key?versionId=v%26w", "/bucket/key?versionId=v&w"],
    ["/bucket/key?response-content-type=a%2Fb%20c", "/bucket/key?response-content-type=a/b c"],
    ["/bucket/key?retention&versionId=1", "/bucket/key?retention&versionId=1"],
    ["http://h/bucket/key?tagging", "/bucket/key?tagging"],
    ["/", "/"],
  ])("for %s passes with the resource %s", async (url, resource) => {
    expect(resultOf(await send({ method: "GET", url, headers: sign({ method: "GET", resource }) })).user).toBe("gwen");
  });

  it.each<[string, Headers, string]>([
    ["without a signature", { authorization: "AWS AKIDGATE" }, "InvalidArgument"],
    ["without a key", { authorization: "AWS :c2lnbmF0dXJl" }, "InvalidArgument"],
    ["with another signature", { authorization: "AWS AKIDGATE:c2lnbmF0dXJl" }, "SignatureDoesNotMatch"],
    ["of an unknown key", { authorization: "AWS AKIDOTHER:c2lnbmF0dXJl" }, "InvalidAccessKeyId"],
    ["with a header that is not signed", { "x-amz-acl": "public-read" }, "SignatureDoesNotMatch"],
    ["with another type", { "content-type": "text/html" }, "SignatureDoesNotMatch"],
    ["with a digest that is not signed", { "content-md5": "4gJE4saaMU4BqNR0kLY+lw==" }, "SignatureDoesNotMatch"],
    ["with another date", { date: "Sun, 07 Jun 2026 08:09:11 GMT" }, "SignatureDoesNotMatch"],
    ["with no date that can be read", { date: "yesterday" }, "AccessDenied"],
    ["with a date before all dates", { date: "Tue, 07 Jul 1950 21:53:04 GMT" }, "AccessDenied"],
    ["with a date of no zone", { date: "Sun, 07 Jun 2026 08:09:10" }, "AccessDenied"],
    ["with an x-amz-date of nothing", { "x-amz-date": "" }, "AccessDenied"],
    ["with a token it should not have", { "x-amz-security-token": "t" }, "SignatureDoesNotMatch"],
  ])("%s is refused", async (_title, changed, code) => {
    expect(codeOf(await send({ headers: { ...sign(), ...changed } }))).toBe(code);
  });

  it.each([
    ["GET", "/bucket/key", "PUT", "/bucket/key"],
    ["GET", "/bucket/other", "GET", "/bucket/key"],
    ["GET", "/bucket/key?acl", "GET", "/bucket/key"],
    ["GET", "/bucket/key?retention", "GET", "/bucket/key"],
    ["GET", "/bucket/key?versionId=2", "GET", "/bucket/key?versionId=1"],
    ["GET", "/bucket/key?versionId=2&versionId=1", "GET", "/bucket/key?versionId=1"],
    ["GET", "/bucket/key", "GET", "/bucket/key?acl"],
    // What was one value must not become another request.
    ["GET", "/bucket/key?response-expires=a&tagging", "GET", "/bucket/key?response-expires=a&tagging"],
  ])("%s %s is refused with the signature of %s %s", async (method, url, signedMethod, resource) => {
    const headers = sign({ method: signedMethod, resource });
    expect(codeOf(await send({ method, url, headers }))).toBe("SignatureDoesNotMatch");
  });

  it("holds for 15 minutes in both directions", async () => {
    for (const [signed, code] of [
      ["Sun, 07 Jun 2026 07:54:09 GMT", "RequestTimeTooSkewed"],
      ["Sun, 07 Jun 2026 08:24:11 GMT", "RequestTimeTooSkewed"],
      ["Sun, 07 Jun 2026 09:54:10 +0200", "gwen"],
    ] as const) {
      expect(codeOf(await send({ headers: { ...sign({ date: signed }), date: signed } }))).toContain(code);
    }
  });

  it("of a temporary key needs its token", async () => {
    const headers = sign({ by: temporary, amz: ["x-amz-security-token:a-token"] });
    expect(resultOf(await send({ headers: { ...headers, "x-amz-security-token": "a-token" } })).user).toBe("tom");
    expect(codeOf(await send({ headers: sign({ by: temporary }) }))).toBe("InvalidToken");
    const wrong = sign({ by: temporary, amz: ["x-amz-security-token:b-token"] });
    expect(codeOf(await send({ headers: { ...wrong, "x-amz-security-token": "b-token" } }))).toBe("InvalidToken");
  });

  it("has a body that is held to every digest that came with it, and that is not in signed chunks", async () => {
    const md5 = createHash("md5").update("x").digest("base64");
    expect(codeOf(await send({ headers: { ...sign({ md5 }), "content-md5": md5 }, body: "b" }))).toBe("BadDigest");
    const hashed = { ...sign({ amz: [`x-amz-content-sha256:${EMPTY_SHA256}`] }), "x-amz-content-sha256": EMPTY_SHA256 };
    expect(codeOf(await send({ headers: hashed, body: "b" }))).toBe("XAmzContentSHA256Mismatch");
    expect(resultOf(await send({ headers: hashed })).user).toBe("gwen");
    const sum = { ...sign({ amz: ["x-amz-checksum-crc32:AAAAAA=="] }), "x-amz-checksum-crc32": "AAAAAA==" };
    expect(codeOf(await send({ headers: sum, body: "b" }))).toBe("BadDigest");
    for (const payload of [
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ]) {
      const amz = [`x-amz-content-sha256:${payload}`, "x-amz-decoded-content-length:0"];
      const more = { "x-amz-content-sha256": payload, "x-amz-decoded-content-length": "0" };
      const answer = await send({ headers: { ...sign({ amz }), ...more }, body: "0\r\n\r\n" });
      expect([codeOf(answer), answer]).toEqual(["InvalidRequest", expect.stringContaining("Version 2")]);
      const { authorization = "" } = sign({ amz: amz.slice(1) });
      const asked = { ...sign(), authorization, "x-amz-decoded-content-length": "0" };
      const url = `/bucket/key?X-Amz-Content-Sha256=${payload}`;
      expect(codeOf(await send({ url, headers: asked, body: "0\r\n\r\n" }))).toBe("InvalidRequest");
    }
  });
});

describe("an address presigned with Signature Version 2", () => {
  const get = async (url: string, headers: Headers = {}): Promise<string> =>
    await send({ method: "GET", url, headers: { host, ...headers } });

  it("passes until it expires, for years if it says so, with a plus that nobody encoded", async () => {
    expect(resultOf(await get(presign())).user).toBe("gwen");
    expect(resultOf(await get(presign({ date: "4102444800" }))).user).toBe("gwen");
    expect(resultOf(await get(presign({ date: String(nowMs / 1_000) }))).user).toBe("gwen");
    for (let second = 0; ; second++) {
      const url = presign({ date: String(nowMs / 1_000 + second) });
      if (!url.includes("%2B")) continue;
      expect(resultOf(await get(url.replaceAll("%2B", "+"))).user).toBe("gwen");
      break;
    }
    expect(await get(presign({ date: String(nowMs / 1_000 - 1) }))).toMatch(/AccessDenied.*Request has expired/s);
  });

  it("has headers in its query that are signed and that count, and a real header of the name comes first", async () => {
    const put = { method: "PUT", type: "text/x-own", amz: ["x-amz-acl:private"] };
    const url = presign({ ...put, query: "x-amz-acl=private&content-type=text%2Fx-own" });
    expect(resultOf(await send({ url, headers: { host }, body: "b" }))).toMatchObject({ acl: "private", body: "b" });
    expect(resultOf(await send({ url, headers: { host, "x-amz-acl": "private" } })).acl).toBe("private");
    for (const changed of [{ "x-amz-acl": "public-read" }, { "content-type": "text/html" }, { "x-amz-meta-a": "1" }]) {
      expect(codeOf(await send({ url, headers: { host, ...changed } }))).toBe("SignatureDoesNotMatch");
    }
    const bare = presign({ method: "PUT", query: "x-amz-acl=public-read" });
    expect(codeOf(await send({ url: bare, headers: { host } }))).toBe("SignatureDoesNotMatch");
    const token = { by: temporary, amz: ["x-amz-security-token:a-token"] };
    expect(resultOf(await get(presign({ ...token, query: "x-amz-security-token=a-token" }))).user).toBe("tom");
    expect(codeOf(await get(presign({ by: temporary })))).toBe("InvalidToken");
  });

  it("has a body that is held to the digest in its query", async () => {
    const md5 = createHash("md5").update("b").digest("base64");
    const url = presign({ method: "PUT", md5, query: `content-md5=${encodeURIComponent(md5)}` });
    expect(resultOf(await send({ url, headers: { host }, body: "b" })).body).toBe("b");
    expect(codeOf(await send({ url, headers: { host }, body: "c" }))).toBe("BadDigest");
  });

  it.each([
    ["without a signature", "/bucket/key?AWSAccessKeyId=AKIDGATE&Expires=1", "AccessDenied"],
    ["without a key", "/bucket/key?Signature=a&Expires=1", "AccessDenied"],
    ["without a time", "/bucket/key?AWSAccessKeyId=AKIDGATE&Signature=a", "AccessDenied"],
    ["with a time that is none", "/bucket/key?AWSAccessKeyId=AKIDGATE&Signature=a&Expires=soon", "AccessDenied"],
    ["of an unknown key", "/bucket/key?AWSAccessKeyId=AKIDOTHER&Signature=a&Expires=9999999999", "InvalidAccessKeyId"],
    [
      "with another signature",
      "/bucket/key?AWSAccessKeyId=AKIDGATE&Signature=a&Expires=9999999999",
      "SignatureDoesNotMatch",
    ],
    [
      "with a line break in a header",
      presign({ amz: ["x-amz-meta-a:1", "b"], query: "x-amz-meta-a=1%0Ab" }),
      "InvalidRequest",
    ],
    ["with a header in two spellings", presign({ query: "x-amz-acl=private&X-Amz-Acl=private" }), "InvalidRequest"],
    ["with a signature of Version 4 as well", `${presign()}&X-Amz-Signature=a`, "AuthorizationQueryParametersError"],
  ])("%s is refused", async (_title, url, code) => {
    expect(codeOf(await get(url))).toBe(code);
  });

  it("may not carry a header of another signature", async () => {
    expect(codeOf(await get(presign(), { authorization: sign().authorization as string, date }))).toBe(
      "InvalidArgument",
    );
  });
});

describe("Signature Version 2 where it is switched off", () => {
  it("is refused with a sentence that names the other, right or wrong", async () => {
    for (const wire of [
      { headers: sign() },
      { headers: { ...sign(), authorization: "AWS nonsense" } },
      { method: "GET", url: presign(), headers: { host } },
    ]) {
      const answer = await sendTo(without.port, wire);
      expect([codeOf(answer), answer]).toEqual(["InvalidRequest", expect.stringContaining("Signature Version 4")]);
    }
  });
});

describe("the gate for Signature Version 2 under noise", () => {
  const gate = createGate({
    findAccessKey: (id) => (id === key.id ? key : undefined),
    clock,
    settings: { region: "us-east-1", bodyIdleMs: 1_000, signatureV2: true },
  });
  const domains = ["s3.example.org"];
  const enter = (method: string, url: string, headers: Headers): unknown => {
    try {
      const http = fakeRequest({ method, url, headers });
      return gate.authenticate(
        http,
        {} as ServerResponse,
        parseTarget({ method, url, host: headers["host"] ?? "" }, domains),
      );
    } catch (error) {
      return error;
    }
  };
  const expectRefused = (outcome: unknown): void => {
    expect(outcome).toMatchObject({ name: "GfsError" });
    expect((outcome as { code: string }).code).not.toBe("Internal");
  };
  const text = fc.string({
    unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 60,
  });

  it("lets nothing through that was changed after it was signed", () => {
    const amz = ["x-amz-acl:private", "x-amz-meta-a:value of a"];
    const right: Headers = {
      method: "PUT",
      url: "/bucket/key?acl&versionId=7",
      ...sign({ type: "text/plain", amz, resource: "/bucket/key?acl&versionId=7" }),
      "content-type": "text/plain",
      "x-amz-acl": "private",
      "x-amz-meta-a": "value of a",
    };
    const fields = Object.keys(right).filter((name) => name !== "host");
    const property = fc.property(
      fc.constantFrom(...fields, "content-md5", "x-amz-date", "x-amz-security-token"),
      fc.nat(),
      text,
      fc.boolean(),
      (field, at, noise, replaces) => {
        const before = right[field] ?? "";
        const place = before === "" ? 0 : at % before.length;
        const after = replaces ? noise : before.slice(0, place) + noise + before.slice(place + 1);
        if (after.trim() === before || (field === "authorization" && after === "")) return;
        const { method = "", url = "", ...headers } = { ...right, [field]: after };
        // Other parameters are not signed by this version.
        if (field === "url" && sameQuestion(url, right["url"] as string)) return;
        expectRefused(enter(method, url, headers));
      },
    );
    fc.assert(property, { numRuns: 2_000 });
  });

  it("takes no presigned address that was changed, nor the same for another bucket's host", () => {
    const url = presign({ query: "versionId=7", resource: "/bucket/key?versionId=7" });
    expect(enter("GET", url, { host })).toMatchObject({ identity: { user: "gwen" } });
    expectRefused(enter("GET", url, { host: "other.s3.example.org" }));
    const hosted = presign({ path: "/key" });
    expect(enter("GET", hosted, { host: "bucket.s3.example.org" })).toMatchObject({ identity: { user: "gwen" } });
    expectRefused(enter("GET", hosted, { host: "other.s3.example.org" }));
    expectRefused(enter("GET", hosted, { host }));
    const property = fc.property(fc.nat({ max: url.length - 1 }), fc.integer({ min: 33, max: 126 }), (at, code) => {
      const changed = url.slice(0, at) + String.fromCharCode(code) + url.slice(at + 1);
      if (sameQuestion(changed, url)) return;
      const outcome = enter("GET", changed, { host });
      // Without a name of a signature there is none, and the request is nobody's.
      if ((outcome as { identity?: { kind: string } }).identity?.kind === "anonymous") return;
      expectRefused(outcome);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  /** Whether the gateway would understand the same, or refuse it by itself, of those parameters that are signed. */
  function sameQuestion(one: string, other: string): boolean {
    const meaning = (url: string): unknown => {
      try {
        const { bucket, key: name, query } = parseTarget({ method: "GET", url, host }, domains);
        const signed = ["acl", "versionId", "Expires", "Signature", "AWSAccessKeyId"];
        return [bucket, name, signed.map((parameter) => query.get(parameter)?.replaceAll(" ", "+"))];
      } catch {
        return undefined;
      }
    };
    return JSON.stringify(meaning(one)) === JSON.stringify(meaning(other));
  }
});
