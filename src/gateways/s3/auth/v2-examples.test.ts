import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { parseTarget } from "../wire/target.ts";
import { type Authenticated, createGate } from "./index.ts";
import { accessKey, fakeRequest } from "./testing/gate-server.ts";

/** The examples of the S3 developer guide for Signature Version 2: key, dates, requests and signatures are theirs. */
const key = accessKey({ secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" });
const host = "johnsmith.s3.amazonaws.com";
const DOMAINS = ["s3.amazonaws.com"];

interface Example {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As the client wrote them, where one name comes more than once. */
  readonly rawHeaders?: readonly string[];
  /** The host that is the bucket itself. */
  readonly bucket?: string;
}

function enter({ rawHeaders = [], bucket, ...example }: Example, nowMs: number): Authenticated {
  const gate = createGate({
    findAccessKey: (id) => (id === key.id ? key : undefined),
    clock: { ...systemClock, nowMs: () => nowMs },
    settings: { region: "us-east-1", bodyIdleMs: 1_000, signatureV2: true },
  });
  const http = fakeRequest(example);
  http.rawHeaders.push(...rawHeaders);
  const target = parseTarget(
    { method: example.method, url: example.url, host: example.headers["Host"] ?? "" },
    bucket === undefined ? DOMAINS : [],
  );
  const own = bucket === undefined ? target : { ...target, bucket, key: example.url.slice(1) };
  return gate.authenticate(http, {} as ServerResponse, own) as Authenticated;
}

const examples: readonly [title: string, date: string, signature: string, example: Example][] = [
  [
    "object GET",
    "Tue, 27 Mar 2007 19:36:42 +0000",
    "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
    { method: "GET", url: "/photos/puppy.jpg", headers: { Host: host } },
  ],
  [
    "object PUT",
    "Tue, 27 Mar 2007 21:15:45 +0000",
    "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
    {
      method: "PUT",
      url: "/photos/puppy.jpg",
      headers: { Host: host, "Content-Type": "image/jpeg", "Content-Length": "94328" },
    },
  ],
  [
    "list",
    "Tue, 27 Mar 2007 19:42:41 +0000",
    "htDYFYduRNen8P9ZfE/s9SuKy0U=",
    {
      method: "GET",
      url: "/?prefix=photos&max-keys=50&marker=puppy",
      headers: { Host: host, "User-Agent": "Mozilla/5.0" },
    },
  ],
  [
    "fetch of the access list",
    "Tue, 27 Mar 2007 19:44:46 +0000",
    "c2WLPFtWHVgbEmeEG93a4cG37dM=",
    { method: "GET", url: "/?acl", headers: { Host: host } },
  ],
  [
    "delete in path style, with another Date than x-amz-date",
    "Tue, 27 Mar 2007 21:20:27 +0000",
    "lx3byBScXR6KzyMaifNkardMwNk=",
    {
      method: "DELETE",
      url: "/johnsmith/photos/puppy.jpg",
      headers: { Host: "s3.amazonaws.com", "User-Agent": "dotnet", "x-amz-date": "Tue, 27 Mar 2007 21:20:26 +0000" },
    },
  ],
  [
    "upload with metadata to a bucket that is the host",
    "Tue, 27 Mar 2007 21:06:08 +0000",
    "ilyl83RwaSoYIEdixDQcA4OnAnc=",
    {
      method: "PUT",
      url: "/db-backup.dat.gz",
      bucket: "static.johnsmith.net",
      headers: {
        Host: "static.johnsmith.net:8080",
        "User-Agent": "curl/7.15.5",
        "x-amz-acl": "public-read",
        "content-type": "application/x-download",
        "Content-MD5": "4gJE4saaMU4BqNR0kLY+lw==",
        "X-Amz-Meta-FileChecksum": "0x02661779",
        "X-Amz-Meta-ChecksumAlgorithm": "crc32",
        "Content-Disposition": "attachment; filename=database.dat",
        "Content-Encoding": "gzip",
        "Content-Length": "5913339",
      },
      rawHeaders: ["X-Amz-Meta-ReviewedBy", "joe@johnsmith.net", "X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"],
    },
  ],
  [
    "list of all buckets",
    "Wed, 28 Mar 2007 01:29:59 +0000",
    "qGdzdERIC03wnaRNKh6OqZehG9s=",
    { method: "GET", url: "/", headers: { Host: "s3.amazonaws.com" } },
  ],
  [
    "keys in Unicode, encoded as the client likes",
    "Wed, 28 Mar 2007 01:49:49 +0000",
    "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
    { method: "GET", url: "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", headers: { Host: "s3.amazonaws.com" } },
  ],
];

describe("the examples of the guide for Signature Version 2", () => {
  it.each(examples)("hold: %s", (_title, date, signature, example) => {
    const nowMs = Date.parse(date);
    const signed = (text: string): Example => ({
      ...example,
      headers: { ...example.headers, Date: date, Authorization: `AWS ${key.id}:${text}` },
    });
    const { identity } = enter(signed(signature), nowMs);
    expect(identity).toMatchObject({ kind: "user", user: "alice", proof: { version: "AWS", place: "header" } });
    const wrong = /signature we calculated/;
    expect(() => enter(signed(signature.replace(/^./, (char) => (char === "A" ? "B" : "A"))), nowMs)).toThrow(wrong);
    expect(() => enter({ ...signed(signature), method: "HEAD" }, nowMs)).toThrow(wrong);
    if (example.bucket === undefined) {
      const [path = "", query = ""] = example.url.split("?");
      const moved = { ...signed(signature), url: `${path}x?${query}` };
      expect(() => enter(moved, nowMs)).toThrow(wrong);
    }
  });

  it("hold: a presigned address, until it expires", () => {
    const url =
      "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    const request = { method: "GET", url, headers: { Host: host } };
    const expiresMs = 1_175_139_620_000;
    expect(enter(request, expiresMs).identity.proof).toEqual({ version: "AWS", place: "query" });
    expect(enter(request, 0).identity.user).toBe("alice");
    expect(() => enter(request, expiresMs + 1)).toThrow("Request has expired");
    expect(() => enter({ ...request, url: url.replace("620", "621") }, expiresMs)).toThrow(/signature we calculated/);
    expect(() => enter({ ...request, headers: { Host: "s3.amazonaws.com" } }, expiresMs)).toThrow(
      /signature we calculated/,
    );
  });
});
