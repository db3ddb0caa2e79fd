import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalQuery, EMPTY_SHA256, uriEncode, uriEncodePath } from "../../../core/sigv4.ts";
import { SigV4 } from "./sigv4.ts";

/** The credentials, date and requests of the examples in the S3 API reference. */
const credentials = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const scope = { region: "us-east-1", credentials };
const nowMs = Date.UTC(2013, 4, 24);
const host = "examplebucket.s3.amazonaws.com";

function signatureOf(authorization: string | undefined): string | undefined {
  return /Signature=([0-9a-f]{64})$/.exec(authorization ?? "")?.[1];
}

describe("signed requests", () => {
  it.each([
    {
      title: "GET object",
      request: {
        method: "GET",
        path: "/test.txt",
        query: "",
        headers: { host, range: "bytes=0-9" },
        payloadHash: EMPTY_SHA256,
      },
      signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    },
    {
      title: "PUT object",
      request: {
        method: "PUT",
        path: `/${uriEncodePath("test$file.text")}`,
        query: "",
        headers: { host, date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
        payloadHash: createHash("sha256").update("Welcome to Amazon S3.").digest("hex"),
      },
      signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    },
    {
      title: "GET bucket lifecycle",
      request: {
        method: "GET",
        path: "/",
        query: canonicalQuery({ lifecycle: "" }),
        headers: { host },
        payloadHash: EMPTY_SHA256,
      },
      signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    },
    {
      title: "GET bucket",
      request: {
        method: "GET",
        path: "/",
        query: canonicalQuery({ prefix: "J", "max-keys": "2" }),
        headers: { host },
        payloadHash: EMPTY_SHA256,
      },
      signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    },
  ])("match the published example $title", ({ request, signature }) => {
    expect(signatureOf(new SigV4().sign(scope, request, nowMs)["authorization"])).toBe(signature);
  });

  it("match the published presigned address", () => {
    const query = new SigV4().presign(
      scope,
      { method: "GET", path: "/test.txt", host },
      { nowMs, expiresSeconds: 86_400 },
    );
    expect(query).toContain("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  });

  it("sign the session token along", () => {
    const withToken = { ...scope, credentials: { ...credentials, sessionToken: "a/token+=" } };
    const request = { method: "GET", path: "/", query: "", headers: { host }, payloadHash: EMPTY_SHA256 };
    const headers = new SigV4().sign(withToken, request, nowMs);
    expect(headers["x-amz-security-token"]).toBe("a/token+=");
    expect(headers["authorization"]).toContain("x-amz-security-token");
    const query = new SigV4().presign(withToken, { method: "GET", path: "/", host }, { nowMs, expiresSeconds: 1 });
    expect(query).toContain("X-Amz-Security-Token=a%2Ftoken%2B%3D");
  });

  it("use the key of the day, the region and the secret at hand, whatever was signed before", () => {
    const signer = new SigV4();
    const request = { method: "GET", path: "/k", query: "", headers: { host }, payloadHash: EMPTY_SHA256 };
    const days = [nowMs, nowMs + 86_400_000, nowMs];
    const scopes = [
      scope,
      { ...scope, region: "eu-west-1" },
      { ...scope, credentials: { ...credentials, secretAccessKey: "other" } },
    ];
    for (const day of days)
      for (const one of scopes) expect(signer.sign(one, request, day)).toEqual(new SigV4().sign(one, request, day));
  });

  it("agree with the algorithm as it is written down, for any request", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 20 });
    fc.assert(
      fc.property(
        text,
        fc.dictionary(text, text, { maxKeys: 4 }),
        fc.integer({ min: 0, max: 4e12 }),
        (key, parameters, at) => {
          const request = {
            method: "PUT",
            path: `/${uriEncodePath(key)}`,
            query: canonicalQuery(parameters),
            headers: { host, "x-amz-meta-a": "b" },
            payloadHash: EMPTY_SHA256,
          };
          const signed = new SigV4().sign(scope, request, at);
          expect(signatureOf(signed["authorization"])).toBe(referenceSignature(request, signed["x-amz-date"] ?? ""));
        },
      ),
    );
  });
});

describe("percent-encoding", () => {
  it("leaves only unreserved characters, and comes back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(uriEncode(text)).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(uriEncode(text))).toBe(text);
      }),
    );
  });

  it("keeps slashes of a path, however many, and dots", () => {
    expect(uriEncodePath("a//../. b/(c)")).toBe("a//../.%20b/%28c%29");
  });
});

interface ReferenceRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly payloadHash: string;
}

function referenceSignature(request: ReferenceRequest, date: string): string {
  const names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a";
  const lines = [`host:${host}`, `x-amz-content-sha256:${request.payloadHash}`, `x-amz-date:${date}`, "x-amz-meta-a:b"];
  const canonical = [request.method, request.path, request.query, ...lines, "", names, request.payloadHash].join("\n");
  const day = date.slice(0, 8);
  const digest = createHash("sha256").update(canonical).digest("hex");
  const mac = (key: string | Buffer, value: string): Buffer => createHmac("sha256", key).update(value).digest();
  const key = [day, "us-east-1", "s3", "aws4_request"].reduce<string | Buffer>(
    mac,
    `AWS4${credentials.secretAccessKey}`,
  );
  return mac(key, ["AWS4-HMAC-SHA256", date, `${day}/us-east-1/s3/aws4_request`, digest].join("\n")).toString("hex");
}
