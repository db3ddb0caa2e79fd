import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectsCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../servers/shared-server.ts";
import { type Ran, runGlobalfs } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { binaryWords, cleanEnvironment, type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { until } from "./support/until.ts";

/** Every door tells one trail who did what, and nobody can take that out again unseen. */

const API_KEY = "the-key-of-this-test";
let directory: string;
let config: string;
let daemon: ReadyDaemon;
let s3Port: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-audit-"));
  s3Port = await freePort();
  config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
    security: { open: false },
    s3: { listen_addr: `127.0.0.1:${s3Port}`, workers: 2 },
  });
  daemon = await start();
});
afterAll(async () => {
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function start(): Promise<ReadyDaemon> {
  const words = ["coordinator", "start", "--config", config];
  return await startDaemon({ directory, words, env: { GLOBALFS_API_KEY: API_KEY } });
}

async function run(...words: string[]): Promise<Ran> {
  return await runGlobalfs(words, { env: { GLOBALFS_COORDINATOR: daemon.url, GLOBALFS_API_KEY: API_KEY }, input: "x" });
}

interface Line {
  readonly seq: number;
  readonly kind: string;
  readonly [field: string]: unknown;
}

async function lines(...words: string[]): Promise<Line[]> {
  const { out, exit, err } = await run("audit", "tail", "--limit", "1000", "--json", ...words);
  expect([exit, err]).toEqual([0, ""]);
  return JSON.parse(out) as Line[];
}

async function s3ClientOf(user: string, role: string): Promise<S3Client> {
  const { out } = await run("key", "create", "--name", user, "--path", "/", "--role", role, "--json");
  const { id, secret } = JSON.parse(out) as { readonly id: string; readonly secret: string };
  return s3Client(id, secret);
}

function s3Client(accessKeyId: string, secretAccessKey: string): S3Client {
  return new S3Client({
    endpoint: `http://127.0.0.1:${s3Port}`,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey },
  });
}

test("a tail that follows shows what is asked for as it comes, once each and in order, until it is told to end", async () => {
  for (const name of ["1", "2"]) expect((await run("object", "put", `followed/${name}`)).exit).toBe(0);
  const words = ["audit", "tail", "--follow", "--json", "--limit", "1", "--path", "followed"];
  const env = cleanEnvironment({ GLOBALFS_COORDINATOR: daemon.url, GLOBALFS_API_KEY: API_KEY });
  const follower = spawn(process.execPath, binaryWords(words), { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(follower, "exit");
  let out = "";
  follower.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
  const paths = (): unknown[] =>
    out
      .trimEnd()
      .split("\n")
      .map((line) => line && (JSON.parse(line) as Line)["path"]);
  try {
    await until("the line that was asked for is there", async () => paths().length === 1 && out !== "");
    for (const name of ["followed/3", "elsewhere", "followed/4"])
      expect((await run("object", "put", name)).exit).toBe(0);
    await until("the new lines are there", async () => paths().length >= 3);
    expect((await run("object", "put", "followed/5")).exit).toBe(0);
    await until("the last line is there", async () => paths().includes("followed/5"));
    expect(paths()).toEqual(["followed/2", "followed/3", "followed/4", "followed/5"]);
  } finally {
    follower.kill("SIGINT");
  }
  expect(await ended).toEqual([130, null]);
});

test("changes and refusals of REST have lines, with who, from where, what and what was answered", async () => {
  expect((await run("object", "put", "projects/a b")).exit).toBe(0);
  expect((await run("mv", "projects/a b", "projects/c")).exit).toBe(0);
  expect((await run("rm", "projects/c")).exit).toBe(0);
  const refused = await fetch(`${daemon.url}/api/v1/objects/projects/secret`, {
    headers: { "X-GlobalFS-API-Key": "gfs_wrong", "X-Request-ID": "refused-1" },
  });
  expect(refused.status).toBe(401);
  const found = await lines("--path", "projects");
  expect(found.map(({ kind, op, status, user, key, from, door }) => [kind, op, status, user, key, from, door])).toEqual(
    [
      ["change", "PUT /api/v1/objects/{key}", 201, "environment", "config:environment", "127.0.0.1", "rest"],
      ["change", "POST /api/v1/rename", 204, "environment", "config:environment", "127.0.0.1", "rest"],
      ["change", "DELETE /api/v1/objects/{key}", 204, "environment", "config:environment", "127.0.0.1", "rest"],
      ["refusal", "GET /api/v1/objects/{key}", 401, "", "", "127.0.0.1", "rest"],
    ],
  );
  expect(found[0]).toMatchObject({ path: "projects/a b" });
  expect(found[1]).toMatchObject({ paths: ["projects/a b", "projects/c"] });
  expect(found[3]).toMatchObject({ request_id: "refused-1", code: "Unauthenticated" });
  // What was read is no change, and no secret is told.
  expect((await run("ls")).exit).toBe(0);
  expect(
    (await lines()).some(({ op }) => String(op).startsWith("GET /api/v1/objects") && op !== found[3]?.["op"]),
  ).toBe(false);
  expect(JSON.stringify(await lines())).not.toMatch(/gfs_wrong|the-key-of-this-test/);
});

test("S3 tells the same trail, workers too: changes, refusals of single keys, wrong signatures, uses of keys", async () => {
  const writer = await s3ClientOf("wendy", "writer");
  const reader = await s3ClientOf("rita", "reader");
  await run("object", "put", "team/first");
  for (const Key of ["one", "two"]) await writer.send(new PutObjectCommand({ Bucket: "team", Key, Body: "1" }));
  await writer.send(
    new DeleteObjectsCommand({ Bucket: "team", Delete: { Objects: [{ Key: "one" }, { Key: "two" }] } }),
  );
  await reader.send(
    new DeleteObjectsCommand({ Bucket: "team", Delete: { Objects: [{ Key: "first" }, { Key: "other" }] } }),
  );
  await expect(reader.send(new PutObjectCommand({ Bucket: "team", Key: "mine", Body: "1" }))).rejects.toThrow(
    /Access Denied|denied|may not/i,
  );
  for (let time = 0; time < 6; time++) {
    const { Body } = await reader.send(new GetObjectCommand({ Bucket: "team", Key: "first" }));
    await Body?.transformToString();
  }
  const { accessKeyId } = await reader.config.credentials();
  const forger = s3Client(accessKeyId, "guessed");
  for (let time = 0; time < 4; time++)
    await expect(forger.send(new GetObjectCommand({ Bucket: "team", Key: "first" }))).rejects.toThrow(/signature/i);

  const found = await lines();
  const of = (user: string, kind: string): Line[] =>
    found.filter((line) => line.kind === kind && line["user"] === user && line["door"] === "s3");
  expect(of("wendy", "change").map(({ op, path, paths, status }) => [op, path ?? paths, paths, status])).toEqual([
    ["PutObject", "team/one", undefined, 200],
    ["PutObject", "team/two", undefined, 200],
    ["DeleteObjects", expect.any(String), ["team/one", "team/two"], 200],
  ]);
  expect(of("rita", "refusal").map(({ op, path, paths, code }) => [op, paths ?? path, code])).toEqual([
    ["DeleteObjects", ["team/first", "team/other"], undefined],
    ["PutObject", "team/mine", "AccessDenied"],
  ]);
  expect(of("rita", "use").length).toBeGreaterThan(0);
  const forged = found.filter((line) => line["code"] === "SignatureDoesNotMatch");
  expect(forged.map((line) => [line.kind, line["user"], line["claims"]])).toEqual(
    Array.from({ length: 4 }, () => ["refusal", "", accessKeyId]),
  );
  for (const client of [writer, reader, forger]) client.destroy();
});

test("the trail holds after the process was killed in the middle of changes, and shows what was done to it", async () => {
  const stop = new AbortController();
  const acknowledged: string[] = [];
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let number = 0; !stop.signal.aborted; number++) {
      const key = `k/${writer}/${number}`;
      const answer = await fetch(`${daemon.url}/api/v1/objects/${key}`, {
        method: "PUT",
        body: "x",
        headers: { "X-GlobalFS-API-Key": API_KEY },
      }).catch(() => undefined);
      if (answer?.status === 201) acknowledged.push(key);
    }
  });
  await until("some are written", async () => acknowledged.length > 50);
  await daemon.stop("SIGKILL");
  stop.abort();
  await Promise.all(writers);
  daemon = await start();
  const verify = async (): Promise<Ran> => await runGlobalfs(["audit", "verify", "--config", config]);
  expect(await verify()).toMatchObject({ exit: 0, out: expect.stringMatching(/no faults\nHash of the last line: /) });
  // Whatever was answered has its line.
  const told = new Set((await lines("--path", "k", "--user", "environment")).map(({ path }) => path));
  expect(acknowledged.slice(-500).filter((key) => !told.has(key))).toEqual([]);

  const trail = join(directory, "catalog", "audit");
  const [name = ""] = (await readdir(trail)).filter((each) => each.endsWith(".jsonl"));
  const good = await readFile(join(trail, name), "utf8");
  await writeFile(join(trail, name), good.replace("k/0/0", "k/0/9"));
  const found = await verify();
  expect(found.exit).toBe(1);
  expect(found.out).toMatch(/1 faults:/);
});

test("who is not an admin of everything does not read it", async () => {
  const { out } = await run("key", "create", "--name", "ann", "--path", "/ann", "--role", "admin", "--json");
  const { id, secret } = JSON.parse(out) as { readonly id: string; readonly secret: string };
  const answer = await fetch(`${daemon.url}/api/v1/audit`, {
    headers: { "X-GlobalFS-API-Key": `gfs_${id}.${secret}` },
  });
  expect(answer.status).toBe(403);
});
