import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram, missingServer } from "../servers/shared-server.ts";
import { type Ran, runProgram } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";

/** Other people's HTTP clients against the daemon. */

let directory: string;
let daemon: ReadyDaemon;
const agent = new Agent();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-clients-"));
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary"), fileSite("cloud", "burst")]);
  daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
});
afterAll(async () => {
  await agent.destroy();
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function isMissing(program: string): Promise<boolean> {
  if ((await findProgram(program)) !== undefined) return false;
  missingServer(`there is no ${program} (apt-get install ${program})`);
  return true;
}

const object = (rawKey: string): string => `${daemon.url}/api/v1/objects/${rawKey}`;

const hasCurl =
  (await findProgram("curl")) !== undefined || missingServer("no curl (apt-get install curl)") === undefined;

describe.skipIf((await findProgram("curl")) === undefined || !hasCurl)("curl", () => {
  const curl = async (...words: string[]): Promise<Ran> => await runProgram("curl", ["-sS", ...words], { directory });
  const status = ["-o", "/dev/null", "-w", "%{http_code}"];

  test("uploads a file that waits for a word of the server, and downloads it in two halves", async () => {
    const body = randomBytes(3_000_001);
    await writeFile(join(directory, "body.bin"), body);
    const put = await curl(
      "-T",
      "body.bin",
      "-H",
      "Expect: 100-continue",
      "-H",
      "Content-Type: image/x-own",
      object("curl/body.bin"),
    );
    expect(JSON.parse(put.out)).toMatchObject({
      key: "curl/body.bin",
      size: body.length,
      checksum: `sha256:${createHash("sha256").update(body).digest("hex")}`,
    });
    await curl("-r", "0-1499999", "-o", "half.bin", object("curl/body.bin"));
    expect((await curl("-C", "-", "-o", "half.bin", object("curl/body.bin"))).exit).toBe(0);
    expect((await readFile(join(directory, "half.bin"))).equals(body)).toBe(true);
    const head = (await curl("-I", object("curl/body.bin"))).out;
    for (const line of [
      /^HTTP\/1\.1 200 OK/,
      /^content-length: 3000001\r$/im,
      /^etag: "[^"]+"\r$/im,
      /^last-modified: .* GMT\r$/im,
      /^content-type: image\/x-own\r$/im,
    ]) {
      expect(head).toMatch(line);
    }
  });

  test("uploads what has no length, with conditions, and deletes", async () => {
    const pipe = await runProgram("curl", ["-sS", "-T", "-", object("curl/pipe")], { input: "from a pipe" });
    expect(JSON.parse(pipe.out)).toMatchObject({ size: 11 });
    expect((await curl(...status, "-T", "body.bin", "-H", "If-None-Match: *", object("curl/pipe"))).out).toBe("412");
    const etag = /^etag: ("[^"]+")/im.exec((await curl("-I", object("curl/pipe"))).out)?.[1] as string;
    expect((await curl(...status, "-H", `If-None-Match: ${etag}`, object("curl/pipe"))).out).toBe("304");
    expect((await curl(...status, "-X", "DELETE", "-H", 'If-Match: "another"', object("curl/pipe"))).out).toBe("412");
    expect((await curl(...status, "-X", "DELETE", object("curl/pipe"))).out).toBe("204");
    expect((await curl(...status, object("curl/pipe"))).out).toBe("404");
  });

  test("refuses a body whose checksum is another one, and keeps what was there", async () => {
    await curl("-T", "body.bin", object("curl/sum"));
    await writeFile(join(directory, "other.bin"), "other");
    const wrong = `Content-MD5: ${createHash("md5").update("not it").digest("base64")}`;
    expect((await curl(...status, "-T", "other.bin", "-H", wrong, object("curl/sum"))).out).toBe("400");
    expect((await curl("-I", object("curl/sum"))).out).toMatch(/^content-length: 3000001\r$/im);
  });

  test("that folds no dots cannot leave the objects", async () => {
    for (const raw of ["a/../../info", "%2e%2e/sites", "a/%2E%2E/b", ".."]) {
      expect([raw, (await curl(...status, "--path-as-is", object(raw))).out]).toEqual([raw, "400"]);
    }
  });
});

describe.skipIf(await isMissing("rclone"))("rclone", () => {
  test("fetches an object by its address, with the object's own time and size", async () => {
    await put("rclone/x", "for rclone");
    const target = join(directory, "rclone.txt");
    const copied = await runProgram("rclone", ["--config", "", "copyurl", object("rclone/x"), target]);
    expect([copied.exit, await readFile(target, "utf8")]).toEqual([0, "for rclone"]);
  });
});

/** As long as that, of components that are not too long. */
function keyOf(sizeBytes: number): string {
  return `${`${"k".repeat(99)}/`.repeat(10)}${"l".repeat(sizeBytes - 1_000)}`;
}

async function put(rawKey: string, body: string): Promise<number> {
  const answer = await request(object(rawKey), { method: "PUT", body, dispatcher: agent });
  await answer.body.dump();
  return answer.statusCode;
}

async function get(rawKey: string): Promise<readonly [number, string]> {
  const answer = await request(object(rawKey), { dispatcher: agent });
  return [answer.statusCode, await answer.body.text()];
}

describe("odd keys", () => {
  const encode = (key: string): string => key.split("/").map(encodeURIComponent).join("/");

  test.each([
    ["spaces and signs", "a b/c+d&e=f?g#h;i,j:k@l!m$n'o(p)q*r[s]"],
    ["percent signs that look like an escape", "100%/%41%2F"],
    ["letters of many alphabets", "ü/日本語/עברית/Ελληνικά"],
    ["characters beyond the first plane", "😀/𝒳"],
    ["the same letter composed and decomposed, apart", "e\u0301"],
    ["a backslash, quotes and a pipe", 'a\\b/"c"/d|e<f>'],
    ["names that disks keep for themselves", "CON/aux.txt/.hidden/..."],
    ["names that look like our own", ".globalfs~e41/x"],
    ["components of 255 bytes", `${"x".repeat(255)}/${"ä".repeat(127)}`],
    ["1,024 bytes", keyOf(1_024)],
    ["a name of the interface", "api/v1/objects/x"],
    ["tilde, dash, underscore", "~a/-b/_c"],
  ])("with %s come back as they went in", async (_what, key) => {
    expect(await put(encode(key), key)).toBe(201);
    expect(await get(encode(key))).toEqual([200, key]);
    const { body } = await request(`${daemon.url}/api/v1/objects?prefix=${encodeURIComponent(key)}`, {
      dispatcher: agent,
    });
    expect(((await body.json()) as { key: string }[]).map((each) => each.key)).toEqual([key]);
    const deleted = await request(object(encode(key)), { method: "DELETE", dispatcher: agent });
    await deleted.body.dump();
    expect([deleted.statusCode, (await get(encode(key)))[0]]).toEqual([204, 404]);
  });

  test("that a plus sign, a lower-case escape or an escaped slash would change are kept apart or together as HTTP says", async () => {
    await put("plus+sign", "plus");
    expect(await get("plus%2Bsign")).toEqual([200, "plus"]);
    expect((await get("plus%20sign"))[0]).toBe(404);
    await put("escapes/%C3%BC", "u");
    expect(await get("escapes/%c3%bc")).toEqual([200, "u"]);
  });

  test.each([
    ["an empty component", "a//b"],
    ["a dot", "a/./b"],
    ["two dots", "a/../b"],
    ["escaped dots", "%2e%2E/b"],
    ["NUL", "a%00b"],
    ["a byte that is no UTF-8", "a%FFb"],
    ["an overlong slash", "a%C0%AFb"],
    ["half a surrogate pair", "a%ED%A0%80b"],
    ["an escape cut short", "a%4"],
    ["1,025 bytes", keyOf(1_025)],
    ["a component of 256 bytes", "x".repeat(256)],
    ["a name that is reserved", ".globalfs/x"],
    ["no key", ""],
  ])("that hold %s are refused before anything happens", async (_what, raw) => {
    for (const method of ["GET", "PUT", "DELETE", "HEAD"] as const) {
      // In parts, because an address that is parsed loses its dots.
      const answer = await agent.request({
        origin: daemon.url,
        path: `/api/v1/objects/${raw}`,
        method,
        ...(method === "PUT" ? { body: "x" } : {}),
      });
      const text = await answer.body.text();
      expect([method, answer.statusCode]).toEqual([method, 400]);
      if (method !== "HEAD")
        expect(JSON.parse(text)).toMatchObject({ error: expect.any(String), code: expect.any(String) });
    }
  });
});
