import { createHmac, randomBytes } from "node:crypto";
import { request as send } from "undici";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createChecksum } from "../../../core/checksums.ts";
import type { GfsError } from "../../../core/errors.ts";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { credentialScope, signatureOf, SigningKeys } from "../../../core/sigv4.ts";
import { readForm } from "./form-reader.ts";
import { BodyTurns } from "../../http/index.ts";
import { talkTo } from "../../http/testing/conversation.ts";
import { parsePostPolicy } from "./post-policy.ts";
import { accessKey, type GateServer, type Passed, startGateServer } from "./testing/gate-server.ts";

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const clock: Clock = { ...systemClock, nowMs: () => nowMs };
const key = accessKey({ id: "AKIDFORM", secret: "form-secret", user: "frida" });
const temporary = accessKey({
  id: "AKIDTEMP",
  secret: "temp-secret",
  user: "tom",
  sessionToken: "a-token",
  expiresMs: nowMs + 60_000,
});
let server: GateServer;
beforeAll(async () => {
  server = await startGateServer({ keys: [key, temporary], clock });
});
afterAll(async () => await server.close());

type Fields = Record<string, string>;
const credential = `AKIDFORM/${credentialScope("20260102", "us-east-1")}`;
const usual: Fields = {
  key: ["user/$", "{filename}"].join(""),
  "x-amz-algorithm": "AWS4-HMAC-SHA256",
  "x-amz-credential": credential,
  "x-amz-date": "20260102T030405Z",
};
const conditions: unknown[] = [
  { bucket: "pictures" },
  ["starts-with", "$key", "user/"],
  { "x-amz-algorithm": "AWS4-HMAC-SHA256" },
  { "x-amz-credential": credential },
  { "x-amz-date": "20260102T030405Z" },
];
const policyOf = (more: readonly unknown[] = [], expiration = "2026-01-02T04:00:00.000Z"): string =>
  Buffer.from(JSON.stringify({ expiration, conditions: [...conditions, ...more] })).toString("base64");

function signed(policy: string, fields: Fields = {}, secret = key.secret): Fields {
  const signingKey = new SigningKeys(1).keyFor({ secret, day: "20260102", region: "us-east-1" });
  return { ...usual, ...fields, policy, "x-amz-signature": signatureOf(signingKey, policy) };
}

const range = (least: unknown, most: unknown): Fields => signed(policyOf([["content-length-range", least, most]]));

interface Sent {
  readonly file?: string | Buffer;
  readonly fileName?: string;
  readonly after?: Fields;
  readonly bucket?: string;
  readonly headers?: Fields;
}

function bodyOf(fields: Fields, { file = "content", fileName = "C:\\dir\\a picture.jpg", after = {} }: Sent): Buffer {
  const part = (name: string, value: string | Buffer, more = ""): Buffer =>
    Buffer.concat([
      Buffer.from(`--limit\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`),
      Buffer.from(value as Buffer),
      Buffer.from("\r\n"),
    ]);
  return Buffer.concat([
    ...Object.entries(fields).map(([name, value]) => part(name, value)),
    part("file", file, `; filename="${fileName}"\r\nContent-Type: image/jpeg`),
    ...Object.entries(after).map(([name, value]) => part(name, value)),
    Buffer.from("--limit--\r\n"),
  ]);
}

async function post(fields: Fields, sent: Sent = {}): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await send(`${server.endpoint}/${sent.bucket ?? "pictures"}`, {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=limit", ...sent.headers },
    body: bodyOf(fields, sent),
  });
  return { status: answer.statusCode, text: await answer.body.text() };
}
const passed = async (fields: Fields, sent: Sent = {}): Promise<Passed> => {
  const { status, text } = await post(fields, sent);
  expect([status, text]).toEqual([200, expect.any(String)]);
  return JSON.parse(text) as Passed;
};

describe("a POST form", () => {
  it("with a signed policy passes, with the file as its body and the name of the file in its key", async () => {
    const file = randomBytes(300_000);
    const { body, ...rest } = await passed(signed(policyOf()), { file });
    expect(rest).toEqual({ kind: "user", user: "frida", accessKeyId: "AKIDFORM", key: "user/a picture.jpg" });
    expect(body).toBe(file.toString("latin1"));
  });

  it("with the older signature passes as well", async () => {
    const policy = Buffer.from(
      JSON.stringify({
        expiration: "2026-01-02T04:00:00Z",
        conditions: [{ bUcKeT: "pictures" }, ["StArTs-WiTh", "$KeY", "user"], { AcL: "private" }],
      }),
    ).toString("base64");
    const signature = createHmac("sha1", key.secret).update(policy).digest("base64");
    const fields = { kEy: "user.txt", AWSAccessKeyId: "AKIDFORM", aCl: "private", pOLICy: policy, signature };
    expect((await passed(fields)).user).toBe("frida");
    expect((await post({ ...fields, signature: `${signature.slice(0, -2)}A=` })).text).toContain(
      "SignatureDoesNotMatch",
    );
  });

  it("without any signature is anonymous", async () => {
    expect(await passed({ key: "k" })).toMatchObject({ kind: "anonymous", user: "", key: "k", body: "content" });
  });

  it("with checksums has a file that fits them", async () => {
    const sum = createChecksum("SHA256");
    sum.update(Buffer.from("content"));
    const name = "x-amz-checksum-sha256";
    const value = sum.digest();
    const fields = signed(policyOf([["starts-with", `$${name}`, ""]]), { [name]: value });
    expect((await passed(fields)).checksum).toEqual({ algorithm: "SHA256", kind: "full", value });
    expect((await post(fields, { file: "other" })).text).toContain("BadDigest");
    const md5 = { "content-md5": Buffer.alloc(16).toString("base64") };
    expect((await post(signed(policyOf([["starts-with", "$Content-MD5", ""]]), md5))).text).toContain("BadDigest");
  });

  it("with a session token needs the right one", async () => {
    const scope = `AKIDTEMP/${credentialScope("20260102", "us-east-1")}`;
    const policy = Buffer.from(
      JSON.stringify({
        expiration: "2026-01-02T04:00:00Z",
        conditions: [
          { bucket: "pictures" },
          ...Object.keys({ ...usual, "x-amz-security-token": "" }).map((name) => ["starts-with", `$${name}`, ""]),
        ],
      }),
    ).toString("base64");
    const fields = signed(policy, { "x-amz-credential": scope, "x-amz-security-token": "a-token" }, temporary.secret);
    expect((await passed(fields)).user).toBe("tom");
    expect((await post({ ...fields, "x-amz-security-token": "b-token" })).text).toContain("InvalidToken");
  });

  it.each<[string, Fields, Sent, string, number]>([
    [
      "a changed policy",
      { ...signed(policyOf()), policy: policyOf([{ acl: "private" }]) },
      {},
      "SignatureDoesNotMatch",
      403,
    ],
    ["another secret", signed(policyOf(), {}, "wrong"), {}, "SignatureDoesNotMatch", 403],
    [
      "an unknown key",
      { ...signed(policyOf()), "x-amz-credential": credential.replace("AKIDFORM", "NOBODY") },
      {},
      "InvalidAccessKeyId",
      403,
    ],
    ["another bucket", signed(policyOf()), { bucket: "other" }, "AccessDenied", 403],
    ["a key outside", signed(policyOf(), { key: "elsewhere" }), {}, "AccessDenied", 403],
    ["a field that no condition allows", signed(policyOf(), { acl: "public-read" }), {}, "AccessDenied", 403],
    ["a policy that expired", signed(policyOf([], "2026-01-02T03:04:05Z")), {}, "AccessDenied", 403],
    ["a policy that is no JSON", signed(Buffer.from("{").toString("base64")), {}, "InvalidPolicyDocument", 400],
    ["an odd expiration", signed(policyOf([], "tomorrow")), {}, "InvalidPolicyDocument", 400],
    ["an empty condition", signed(policyOf([{}])), {}, "InvalidPolicyDocument", 400],
    ["an odd range", range(-1, 0), {}, "InvalidPolicyDocument", 400],
    ["half a range", signed(policyOf([["content-length-range", 512]])), {}, "InvalidPolicyDocument", 400],
    ["a file that is too large", range(0, 6), {}, "EntityTooLarge", 400],
    ["a file that is too small", range(8, 100), {}, "EntityTooSmall", 400],
    ["no key", { a: "b" }, {}, "InvalidArgument", 400],
    ["no policy", { key: "k", "x-amz-signature": "0".repeat(64) }, {}, "InvalidArgument", 400],
    ["no signature", { key: "k", policy: policyOf(), AWSAccessKeyId: "AKIDFORM" }, {}, "InvalidArgument", 400],
    [
      "another region",
      signed(policyOf(), { "x-amz-credential": credential.replace("us-east-1", "moon-1") }),
      {},
      "AuthorizationQueryParametersError",
      400,
    ],
    ["two of one field", { key: "k", KEY: "l" }, {}, "MalformedPOSTRequest", 400],
    [
      "too much before the file",
      { key: "k", "x-amz-meta-a": "a".repeat(21_000) },
      {},
      "MaxPostPreDataLengthExceededError",
      400,
    ],
    ["no boundary", { key: "k" }, { headers: { "content-type": "multipart/form-data" } }, "MalformedPOSTRequest", 400],
    [
      "a wrong boundary",
      { key: "k" },
      { headers: { "content-type": "multipart/form-data; boundary=other" } },
      "MalformedPOSTRequest",
      400,
    ],
  ])("with %s is refused", async (_title, fields, sent, code, status) => {
    const answer = await post(fields, sent);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(`<Code>${code}</Code>`)]);
  });

  it("may name fields that mean nothing, and may have fields behind the file, which are not looked at", async () => {
    expect((await passed(signed(policyOf(), { "x-ignore-me": "1" }), { after: { acl: "public-read" } })).user).toBe(
      "frida",
    );
  });

  it("shows its fields as headers, and none that came beside it", async () => {
    const { encoding } = await passed(
      signed(policyOf([["eq", "$Content-Encoding", "gzip"]]), { "content-encoding": "gzip" }),
      {
        headers: { "content-encoding": "br" },
      },
    );
    expect(encoding).toBe("gzip");
    expect((await passed(signed(policyOf()), { headers: { "content-encoding": "br" } })).encoding).toBeUndefined();
  });
});

describe("a form with a large file", () => {
  it.each<[string, Fields, number]>([
    ["whose policy expired", signed(policyOf([], "2026-01-02T03:04:05Z")), 403],
    ["that is larger than its policy allows", range(0, 100_000), 400],
  ])("%s leaves the connection as it is", async (_title, fields, status) => {
    const body = bodyOf(fields, { file: Buffer.alloc(4 * 1024 ** 2, "x") });
    const head = `POST /pictures HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=limit\r\nContent-Length: ${body.byteLength}\r\n\r\n`;
    const talk = talkTo(server.port, Buffer.concat([Buffer.from(head), body]));
    await talk.heard(new RegExp(`^HTTP/1.1 ${status} `));
    talk.socket.write("GET /pictures/next HTTP/1.1\r\nHost: a\r\n\r\n");
    await talk.heard(/HTTP\/1\.1 200 /);
    talk.socket.destroy();
  });

  it("waits for its turn as every body does", async () => {
    const turns = new BodyTurns({ maxBytes: 64 * 1024, clock: systemClock });
    const busy = await startGateServer({ keys: [key], clock, turns });
    try {
      const other = turns.turnOf(64 * 1024);
      await other.take();
      const answer = send(`${busy.endpoint}/pictures`, {
        method: "POST",
        headers: { "content-type": "multipart/form-data; boundary=limit" },
        body: bodyOf(signed(policyOf()), {}),
      });
      await expect.poll(() => turns.waiting).toBe(1);
      other.end();
      expect((await answer).statusCode).toBe(200);
    } finally {
      await busy.close();
    }
  });
});

/** Two bars, as none of them holds any. */
const PIECES = [
  '\r\n||--||\r\n--limit||\r\n--limit--||\r\n\r\n||\r||\n||\t|| ||ü||x||;||=||*||\'||"||\\||name||; name="a"||; name=file',
  "; filename*=koi8-r''%C3%28||Content-Disposition: form-data||Content-Type: text/plain; charset=koi8-r",
  'Content-Type: x/y; charset=base64||--limit\r\nContent-Disposition: form-data; name="k"\r\n\r\nv\r\n',
  '--limit\r\nContent-Disposition: form-data; name="file"\r\n\r\nf',
].flatMap((pieces) => pieces.split("||"));

describe("the reader of forms", () => {
  async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
    let offset = 0;
    for (let turn = 0; offset < bytes.byteLength; turn++) {
      const sizeBytes = sizes[turn % sizes.length] ?? 1;
      yield bytes.subarray(offset, offset + sizeBytes);
      offset += sizeBytes;
    }
  }
  const read = async (bytes: Buffer, sizes: readonly number[]): Promise<{ fields: Fields; file: Buffer }> => {
    const { fields, file } = await readForm(cut(bytes, sizes), "multipart/form-data; boundary=limit");
    const chunks: Buffer[] = [];
    for await (const chunk of file) chunks.push(Buffer.from(chunk));
    return { fields: Object.fromEntries(fields), file: Buffer.concat(chunks) };
  };

  it("gives back every file, however the body is cut, also one that is full of half boundaries", async () => {
    const piece = fc.constantFrom("\r\n", "--", "\r\n--lim", "limit", "\r\n--limi", "x", "\r", "\n-");
    const property = fc.asyncProperty(
      fc
        .array(piece, { maxLength: 30 })
        .map((pieces) => pieces.join(""))
        // A boundary at the beginning of a line, the first one too, is a boundary.
        .filter((file) => !`\r\n${file}`.includes("\r\n--limit")),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
      async (file, sizes) => {
        const { fields, file: got } = await read(bodyOf({ key: "k", other: "ü" }, { file }), sizes);
        expect(fields).toEqual({ key: "k", other: "ü" });
        expect(got.toString()).toBe(file);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  it("gives back a file and its fields, also an empty one of each, wherever the body is cut in two", async () => {
    for (const file of ["", "a\r\n--limi\r\n--lim\r\n-"]) {
      const whole = bodyOf({ key: "k", other: "ü", empty: "" }, { file, after: { late: "x" } });
      for (let at = 1; at < whole.byteLength; at++) {
        const { fields, file: got } = await read(whole, [at, whole.byteLength]);
        expect([at, fields, got.toString()]).toEqual([at, { key: "k", other: "ü", empty: "" }, file]);
      }
    }
  });

  it("takes no form that ends before its last boundary, not even behind the file", async () => {
    const whole = bodyOf({ key: "k" }, { after: { late: "x" } });
    for (let end = 0; end < whole.byteLength - "\r\n".length; end++)
      await expect(read(whole.subarray(0, end), [50]), `at ${end}`).rejects.toThrow("before its last boundary");
  });

  it("has an answer to whatever looks like a form, and nothing breaks beside it", async () => {
    const piece = fc.constantFrom(...PIECES);
    const property = fc.asyncProperty(
      fc.array(piece, { maxLength: 25 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
      async (pieces, sizes) => {
        const outcome = await read(Buffer.from(pieces.join("")), sizes).then(
          () => "a form",
          ({ name, code }: GfsError) => `${name} ${code}`,
        );
        expect(["a form", "GfsError InvalidArgument"]).toContain(outcome);
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  it.each([
    ["noise before the first boundary", Buffer.alloc(64 * 1024, "x")],
    ["parts without a name", Buffer.from("--limit\r\nX: y\r\n\r\n\r\n".repeat(4_000))],
    ["a header", Buffer.from(`--limit\r\nX: ${"y".repeat(64 * 1024)}`)],
    ["many fields", bodyOf(Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`a${at}`, ""])), {})],
    [
      "many small fields",
      bodyOf(Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`a${at}`, "b".repeat(800)])), {}),
    ],
  ])("takes no endless head: %s", async (_title, head) => {
    async function* endless(): AsyncGenerator<Buffer> {
      yield head;
      // Far fewer than it would take for anything else to stop it.
      for (let turn = 0; turn < 10; turn++) yield Buffer.alloc(1_024, "z");
    }
    await expect(readForm(endless(), "multipart/form-data; boundary=limit")).rejects.toThrow("were too large");
  });

  it("breaks nothing beside it when a form ends while nobody reads its file", async () => {
    const { file } = await readForm(
      cut(bodyOf({ key: "k" }, {}).subarray(0, -15), [50]),
      "multipart/form-data; boundary=limit",
    );
    // An error that nobody hears comes in one of these turns.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    await expect(file.next()).rejects.toThrow("before its last boundary");
  });

  it("takes of a file that nobody reads no more than small buffers hold", async () => {
    let taken = 0;
    async function* large(): AsyncGenerator<Buffer> {
      yield bodyOf({ key: "k" }, {}).subarray(0, -20);
      for (; taken < 1_000; taken++) yield Buffer.alloc(64 * 1024);
    }
    const { file } = await readForm(large(), "multipart/form-data; boundary=limit");
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBeLessThan(5);
    await file.return(undefined);
  });

  it("ends every other body with an error of its own", async () => {
    const property = fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat({ max: 400 }),
      fc.boolean(),
      async (noise, at, shorten) => {
        const whole = bodyOf({ key: "k" }, {});
        const end = Math.min(at, whole.byteLength - 20);
        const bytes = shorten ? whole.subarray(0, end) : Buffer.from(noise);
        await expect(read(bytes, [7])).rejects.toMatchObject({ name: "GfsError", code: "InvalidArgument" });
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  it("takes no policy but a right one", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = Buffer.from(JSON.stringify(value)).toString("base64");
        expect(() => parsePostPolicy(text)).toThrow(/Invalid Policy/);
      }),
    );
  });
});
