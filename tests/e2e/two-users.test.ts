import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SigV4 } from "../../src/stores/drivers/s3/sigv4.ts";
import { freePort } from "../servers/shared-server.ts";
import { runGlobalfs } from "./support/command.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";

/** Two users, an operator and a scraper before the real daemon, its REST API and its S3 endpoint with two processes. */

interface Key {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
}

const OPERATOR = "the key of the operator";
/** As it may be left in the environment of whoever starts the coordinator. */
const REVOKED = "gfs_GFSKAAAAAAAAAAAAAAAA.the-secret-of-a-key-that-was-revoked";
const hashOf = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;
let directory: string;
let daemon: ReadyDaemon;
let s3Port: number;
let alice: Key;
let bob: Key;
const clients: S3Client[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-two-users-"));
  s3Port = await freePort();
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
    s3: { listen_addr: `127.0.0.1:${s3Port}`, workers: 2 },
    global: { metrics_port: 0, log_level: "DEBUG" },
    security: {
      open: false,
      api_keys: [
        { name: "operator", hash: hashOf(OPERATOR) },
        { name: "scraper", hash: hashOf("the scraper's key"), grants: [{ path: "", role: "reader" }] },
        { name: "former", hash: hashOf("a key that has ended"), expires: "2020-01-01T00:00:00Z" },
      ],
    },
  });
  daemon = await startDaemon({
    directory,
    words: ["coordinator", "start", "--config", config],
    env: { GLOBALFS_API_KEY: REVOKED },
  });
  for (const path of ["reports/may", "reports/june", "secret/plan"])
    await rest(OPERATOR, "PUT", `objects/data/${path}`, "x");
  alice = await key("alice", "data", "admin");
  bob = await key("bob", "data/reports", "reader");
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function rest(token: string, method: string, path: string, body?: string): Promise<Response> {
  return await fetch(`${daemon.url}/api/v1/${path}`, {
    method,
    headers: { "x-globalfs-api-key": token, "content-type": "application/json" },
    ...(body === undefined ? {} : { body }),
  });
}

async function globalfs(token: string, ...words: string[]): Promise<Awaited<ReturnType<typeof runGlobalfs>>> {
  return await runGlobalfs(words, { env: { GLOBALFS_COORDINATOR: daemon.url, GLOBALFS_API_KEY: token } });
}

async function key(user: string, path: string, role: string, by = OPERATOR): Promise<Key> {
  const { exit, out, err } = await globalfs(
    by,
    "key",
    "create",
    "--name",
    user,
    "--path",
    path,
    "--role",
    role,
    "--json",
  );
  expect(exit, err).toBe(0);
  return JSON.parse(out) as Key;
}

function s3({ id, secret }: Key): S3Client {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${s3Port}`,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: id, secretAccessKey: secret },
  });
  clients.push(client);
  return client;
}

function presigned({ id, secret }: Key, path: string): string {
  const host = `127.0.0.1:${s3Port}`;
  const query = new SigV4().presign(
    { region: "us-east-1", credentials: { accessKeyId: id, secretAccessKey: secret } },
    { method: "GET", path, host },
    { nowMs: Date.now(), expiresSeconds: 600 },
  );
  return `http://${host}${path}?${query}`;
}

describe("two users", () => {
  test("see what they may, by either form of their key", async () => {
    const listed = await globalfs(bob.token, "ls", "-R");
    expect([listed.exit, listed.out]).toEqual([0, expect.stringContaining("data/reports/may")]);
    expect(listed.out).not.toContain("secret");
    expect((await globalfs(bob.token, "cat", "data/reports/may")).out).toBe("x");
    expect((await globalfs(bob.token, "cat", "data/secret/plan")).exit).toBe(5);
    expect((await globalfs(bob.token, "rm", "data/reports/may")).exit).toBe(5);
    expect((await globalfs(bob.token, "mv", "data/reports/may", "data/reports/now")).exit).toBe(5);
    const { Contents = [] } = await s3(bob).send(new ListObjectsV2Command({ Bucket: "data", Prefix: "reports/" }));
    expect(Contents.map(({ Key }) => Key)).toEqual(["reports/june", "reports/may"]);
    await expect(s3(bob).send(new GetObjectCommand({ Bucket: "data", Key: "secret/plan" }))).rejects.toMatchObject({
      name: "AccessDenied",
    });
    expect((await globalfs(alice.token, "cat", "data/secret/plan")).out).toBe("x");
    expect((await rest(alice.token, "POST", "jobs/pause")).status).toBe(403);
  });

  test("share and close by a policy, which holds for REST as for S3", async () => {
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "",
          Effect: "Deny",
          Principal: { AWS: "arn:aws:iam:::user/bob" },
          Action: "s3:GetObject",
          Resource: "arn:aws:s3:::data/reports/june",
        },
        {
          Sid: "",
          Effect: "Allow",
          Principal: { AWS: "arn:aws:iam:::user/bob" },
          Action: "s3:GetObject",
          Resource: "arn:aws:s3:::data/secret/plan",
        },
      ],
    });
    await s3(alice).send(new PutBucketPolicyCommand({ Bucket: "data", Policy }));
    expect((await rest(bob.token, "GET", "objects/data/reports/june")).status).toBe(403);
    expect((await rest(bob.token, "GET", "objects/data/secret/plan")).status).toBe(200);
    expect((await rest(alice.token, "GET", "objects/data/reports/june")).status).toBe(200);
    const check = await globalfs(alice.token, "key", "check", bob.id, "data/reports/june", "--action", "read");
    expect([check.exit, check.out]).toEqual([
      5,
      expect.stringContaining("Statement 1 of the policy of data is a Deny"),
    ]);
  });

  test("give no more than they have", async () => {
    const own = await key("alice+intern", "data/reports", "writer", alice.token);
    expect((await rest(own.token, "PUT", "objects/data/reports/new", "x")).status).toBe(201);
    const words = ["key", "create", "--name", "alice", "--path", "other", "--role", "reader"];
    expect((await globalfs(alice.token, ...words)).exit).toBe(5);
    expect(
      (await globalfs(bob.token, "key", "create", "--name", "bob", "--path", "data/reports", "--role", "reader")).exit,
    ).toBe(5);
    expect(JSON.parse((await globalfs(bob.token, "key", "list", "--json")).out)).toHaveLength(1);
  });

  test("are named in the log, with their keys", async () => {
    await rest(bob.token, "GET", "objects/data/secret/other");
    await expect
      .poll(() => daemon.events("http_request").find(({ path }) => String(path).endsWith("/data/secret/other")))
      .toMatchObject({ key: bob.id, user: "bob", status: 403 });
    expect(daemon.log()).not.toContain(bob.secret);
  });
});

describe("keys of the configuration", () => {
  test("do what their grants say until they end", async () => {
    expect((await rest("the scraper's key", "GET", "info")).status).toBe(200);
    expect((await fetch(`${daemon.url}/metrics`, { headers: { authorization: "Bearer the" } })).status).toBe(401);
    expect((await rest("the scraper's key", "PUT", "objects/data/reports/x", "x")).status).toBe(403);
    const former = await rest("a key that has ended", "GET", "info");
    expect([former.status, await former.json()]).toEqual([
      401,
      expect.objectContaining({ error: expect.stringMatching(/has expired/) }),
    ]);
  });
});

describe("the token of a key in the catalog", () => {
  test("is no first key of a coordinator, which does not start with that alone and says what to do", async () => {
    const other = await mkdtemp(join(directory, "other-"));
    const config = await writeConfiguration(other, [fileSite("other", "primary")], { security: { open: false } });
    const env = { GLOBALFS_API_KEY: REVOKED };
    const { exit, err } = await runGlobalfs(["coordinator", "start", "--config", config], { env });
    expect([exit, err]).toEqual([2, expect.stringContaining("GLOBALFS_API_KEY is the token of a key in the catalog")]);
    expect(err).toContain("globalfs key generate");
    expect(err).not.toContain(REVOKED);
  });
});

describe("a key that is revoked", () => {
  test("does not come back as the coordinator's own, for standing in its environment", async () => {
    expect((await rest(REVOKED, "GET", "objects")).status).toBe(401);
    await expect.poll(() => daemon.events("environment_key_opens_nothing_more")).toHaveLength(1);
  });

  test("opens nothing any more from the next request on: not REST, not S3 in any process, not an address it has signed", async () => {
    const carol = await key("carol", "data", "reader");
    const signed = presigned(carol, "/data/secret/plan");
    // Each on a connection of its own, so that both processes have had the key in hand.
    const fetchSigned = async (): Promise<number> => (await fetch(signed, { headers: { connection: "close" } })).status;
    expect(await Promise.all(Array.from({ length: 8 }, fetchSigned))).toEqual(Array.from({ length: 8 }, () => 200));
    expect((await rest(carol.token, "GET", "objects/data/secret/plan")).status).toBe(200);
    expect((await globalfs(OPERATOR, "key", "revoke", carol.id)).exit).toBe(0);
    expect(await Promise.all(Array.from({ length: 8 }, fetchSigned))).toEqual(Array.from({ length: 8 }, () => 403));
    expect((await rest(carol.token, "GET", "objects/data/secret/plan")).status).toBe(401);
    expect((await globalfs(carol.token, "key", "show")).exit).toBe(5);
  });
});
