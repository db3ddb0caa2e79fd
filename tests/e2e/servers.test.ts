import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAzurite } from "../servers/azurite.ts";
import { createBucket, independentClient, startRadosgw, type TestBucket } from "../servers/radosgw.ts";
import { type Ran, type RunOptions, runGlobalfs } from "./support/command.ts";
import { writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { type Gate, openGate } from "./support/gate.ts";
import { until } from "./support/until.ts";

/** The same program with a YAML file over an S3 bucket and an Azure container, each behind a gate that can be shut. */

const s3 = await startRadosgw();
const azurite = await startAzurite();
const MIB = 1024 ** 2;

describe.skipIf(s3 === undefined || azurite === undefined)(
  "a coordinator over an S3 bucket and an Azure container",
  () => {
    let directory: string;
    let bucket: TestBucket;
    let aws: S3Client;
    let container: ContainerClient;
    let gates: { s3: Gate; azure: Gate };
    let daemon: ReadyDaemon;

    beforeAll(async () => {
      if (s3 === undefined || azurite === undefined) throw new Error("There are no servers.");
      directory = await mkdtemp(join(tmpdir(), "globalfs-servers-"));
      bucket = await createBucket(s3);
      aws = independentClient(s3);
      const { account, accountKey, endpoint } = azurite;
      const name = `test-${randomBytes(8).toString("hex")}`;
      container = new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, accountKey));
      await container.create();
      gates = { s3: await openGate(s3.endpoint), azure: await openGate(endpoint) };
      const config = await writeConfiguration(
        directory,
        [
          {
            name: "onprem",
            role: "primary",
            store: {
              driver: "s3",
              bucket: bucket.name,
              endpoint: gates.s3.url,
              access_key_id: s3.accessKeyId,
              secret_access_key: s3.secretAccessKey,
            },
          },
          {
            name: "cloud",
            role: "burst",
            store: { driver: "azure", container: name, account, account_key: accountKey, endpoint: gates.azure.url },
          },
        ],
        {
          resilience: {
            health_poll_interval: "300ms",
            circuit_breaker: { enabled: true, threshold: 3, cooldown: "500ms" },
            retry: { enabled: true, max_attempts: 2, initial_delay: "20ms" },
          },
        },
      );
      daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
    });
    afterAll(async () => {
      await daemon?.stop();
      await gates?.s3.shut();
      await gates?.azure.shut();
      await container?.delete();
      aws?.destroy();
      await bucket?.remove();
      if (directory !== undefined) await rm(directory, { recursive: true });
    });

    async function run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
      return await runGlobalfs(words, { ...options, env: { GLOBALFS_COORDINATOR: daemon.url } });
    }
    const object = (key: string): string => `${daemon.url}/api/v1/objects/${key}`;
    const put = async (key: string, body: string | Buffer): Promise<Response> =>
      await fetch(object(key), { method: "PUT", body });
    async function inBucket(key: string): Promise<Buffer> {
      const { Body } = await aws.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    }
    const inContainer = async (key: string): Promise<Buffer> =>
      await container.getBlockBlobClient(key).downloadToBuffer();
    async function replicated(key: string): Promise<void> {
      await until(`${key} is at cloud`, async () => {
        const { copies } = JSON.parse((await run(["explain", key, "--json"])).out) as {
          copies: { site: string; state: string }[];
        };
        return copies.some(({ site, state }) => site === "cloud" && state === "present");
      });
    }

    test("found both as they are, and says nothing of their secrets", async () => {
      expect((await run(["site", "list", "--long"])).out).toMatch(
        /^onprem +primary +healthy +closed .* s3:\/\/test-\S+ *\ncloud +burst +healthy +closed .* azure:\/\/\S+/m,
      );
      expect(daemon.log()).not.toContain(s3?.secretAccessKey);
      expect(daemon.log()).not.toContain(azurite?.accountKey);
      expect(daemon.events("site_not_probed")).toEqual([]);
    });

    test("stores objects that other tools read back, at both places, with type and metadata", async () => {
      const key = "data/ü (1)/a+b.txt";
      expect(
        (await run(["object", "put", key, "--content-type", "text/x-own", "--meta", "owner=me"], { input: "hello" }))
          .exit,
      ).toBe(0);
      const found = await aws.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
      expect(await found.Body?.transformToString()).toBe("hello");
      expect([found.ContentType, found.Metadata?.["owner"]]).toEqual(["text/x-own", "me"]);
      await replicated(key);
      expect((await inContainer(key)).toString()).toBe("hello");
      expect((await container.getBlockBlobClient(key).getProperties()).contentType).toBe("text/x-own");
      expect((await run(["object", "get", key])).out).toBe("hello");
    });

    test("moves 64 MiB in parts, serves any range of them, and brings the same bytes to the other place", async () => {
      const body = randomBytes(64 * MIB);
      const sha256 = createHash("sha256").update(body).digest("hex");
      expect((await put("big/64mib", body)).status).toBe(201);
      const head = await aws.send(new HeadObjectCommand({ Bucket: bucket.name, Key: "big/64mib" }));
      expect(head.ContentLength).toBe(64 * MIB);
      expect(head.ETag).toMatch(/-\d+"$/);
      expect(
        createHash("sha256")
          .update(await inBucket("big/64mib"))
          .digest("hex"),
      ).toBe(sha256);
      const whole = Buffer.from(await (await fetch(object("big/64mib"))).arrayBuffer());
      expect(whole.equals(body)).toBe(true);
      for (const [range, start, end] of [
        ["bytes=0-0", 0, 1],
        [`bytes=${16 * MIB - 5}-${16 * MIB + 4}`, 16 * MIB - 5, 16 * MIB + 5],
        ["bytes=-7", 64 * MIB - 7, 64 * MIB],
        [`bytes=${64 * MIB - 3}-`, 64 * MIB - 3, 64 * MIB],
      ] as const) {
        const answer = await fetch(object("big/64mib"), { headers: { Range: range } });
        expect([answer.status, answer.headers.get("content-range")]).toEqual([
          206,
          `bytes ${start}-${end - 1}/${64 * MIB}`,
        ]);
        expect(Buffer.from(await answer.arrayBuffer()).equals(body.subarray(start, end))).toBe(true);
      }
      expect((await fetch(object("big/64mib"), { headers: { Range: `bytes=${64 * MIB}-` } })).status).toBe(416);
      await replicated("big/64mib");
      expect(
        createHash("sha256")
          .update(await inContainer("big/64mib"))
          .digest("hex"),
      ).toBe(sha256);
    });

    test("lists in key order, and shows, serves and deletes what another tool put there", async () => {
      for (const key of ["list/b", "list/a/1", "list/a-b"]) expect((await put(key, key)).status).toBe(201);
      await aws.send(new PutObjectCommand({ Bucket: bucket.name, Key: "list/by-hand", Body: "another tool" }));
      await container.getBlockBlobClient("list/in-azure").upload("azure", 5);
      const keys = (
        JSON.parse((await run(["object", "list", "--prefix", "list/", "--json"])).out) as { key: string }[]
      ).map(({ key }) => key);
      expect(keys).toEqual(["list/a-b", "list/a/1", "list/b", "list/by-hand", "list/in-azure"]);
      expect(await (await fetch(object("list/by-hand"))).text()).toBe("another tool");
      expect(await (await fetch(object("list/in-azure"))).text()).toBe("azure");
      for (const key of keys) expect((await run(["object", "delete", key])).exit).toBe(0);
      expect((await run(["object", "list", "--prefix", "list/", "--json"])).out).toBe("[]\n");
      await expect(inBucket("list/by-hand")).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
      await until(
        "the deletes reach the container",
        async () => !(await container.getBlockBlobClient("list/in-azure").exists()),
      );
    });

    test("replicates by hand and explains", async () => {
      await put("hand", "bytes");
      const done = await run(["replicate", "--key", "hand", "--from", "onprem", "--to", "cloud", "--wait", "--json"]);
      expect([done.exit, (JSON.parse(done.out) as { state: string }).state]).toEqual([0, "done"]);
      expect((await inContainer("hand")).toString()).toBe("bytes");
      const explained = (await run(["explain", "hand"])).out;
      expect(explained).toMatch(/^onprem +present +healthy +hand/m);
      expect(explained).toMatch(/^cloud +present +healthy +hand/m);
      expect((await run(["mv", "hand", "moved/hand"])).exit).toBe(0);
      await until(
        "the object has the file's name",
        async () => (await inBucket("moved/hand").catch(() => undefined))?.toString() === "bytes",
      );
      expect(await (await fetch(object("moved/hand"))).text()).toBe("bytes");
    });

    test("goes on reading without the primary, refuses writes at once, says so everywhere, and recovers by itself", async () => {
      await put("safe", "both have it");
      await replicated("safe");
      await gates.s3.shut();
      try {
        expect(await (await fetch(object("safe"))).text()).toBe("both have it");
        await until("health is known", async () => (await fetch(`${daemon.url}/healthz`)).status === 503);
        expect(await (await fetch(`${daemon.url}/healthz`)).text()).toMatch(/^DEGRADED\nonprem: \S+/);
        expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
        const status = await run(["status"]);
        expect([status.exit, status.out.split("\n")[0]]).toEqual([1, "DEGRADED"]);
        expect((await run(["status", "--json"])).exit).toBe(1);
        await until("writes that fail open the breaker", async () => {
          expect((await put("safe", "never")).status).toBe(503);
          return /^onprem +primary +unhealthy +(open|half-open)$/m.test((await run(["site", "list"])).out);
        });
        const startedMs = performance.now();
        const refused = await put("safe", "never");
        expect([refused.status, performance.now() - startedMs < 2_000]).toEqual([503, true]);
        expect(((await refused.json()) as { error: string }).error).toContain("onprem");
        expect((await run(["object", "put", "new"], { input: "x" })).exit).toBe(3);
        expect((await run(["object", "get", "never/known"])).exit).toBe(3);
        const listed = await fetch(`${daemon.url}/api/v1/objects?prefix=safe`);
        expect([listed.status, listed.headers.get("x-globalfs-failed-sites")]).toEqual([207, "onprem"]);
        expect((await run(["object", "list", "--prefix", "safe"])).exit).toBe(7);
        expect(await (await fetch(object("safe"))).text()).toBe("both have it");
      } finally {
        await gates.s3.open();
      }
      await until("the primary is back", async () => (await fetch(`${daemon.url}/healthz`)).status === 200);
      await until("writes are taken", async () => (await put("safe", "again")).status === 201);
      await until("the bucket has it under its path", async () => (await inBucket("safe")).toString() === "again");
      expect((await run(["status"])).exit).toBe(0);
      expect((await run(["site", "list"])).out).toMatch(/^onprem +primary +healthy +closed$/m);
    });

    test("takes writes and deletes while the burst site is away, and brings it up to date afterwards", async () => {
      await put("doomed", "to be deleted");
      await replicated("doomed");
      await gates.azure.shut();
      try {
        expect((await put("late", "bytes")).status).toBe(201);
        expect((await fetch(object("doomed"), { method: "DELETE" })).status).toBe(204);
        expect((await fetch(object("doomed"))).status).toBe(404);
        expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
        expect((await run(["explain", "late"])).out).toMatch(/^cloud +pending/m);
      } finally {
        await gates.azure.open();
      }
      await replicated("late");
      expect((await inContainer("late")).toString()).toBe("bytes");
      await until(
        "the delete reaches the container",
        async () => !(await container.getBlockBlobClient("doomed").exists()),
      );
      expect((await fetch(object("doomed"))).status).toBe(404);
    });
  },
);
