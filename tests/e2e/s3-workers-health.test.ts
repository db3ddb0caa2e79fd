import { randomBytes } from "node:crypto";
import { GetObjectCommand, PutObjectCommand, CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAzurite } from "../servers/azurite.ts";
import { runGlobalfs } from "./support/command.ts";
import { fileSite } from "./support/configuration.ts";
import { type Gate, openGate } from "./support/gate.ts";
import { dealtClients } from "./support/dealt-clients.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** Three processes behind one port, and a primary that falls silent: what one of them has found out, all of them know. */

const server = await startAzurite();
const Bucket = "shared";
const CLIENTS = 9;
/** So long a read waits for a site that does not answer. */
const SILENT_MS = 3_000;

describe.skipIf(server === undefined)("an S3 endpoint of three processes over a primary that falls silent", () => {
  let container: ContainerClient;
  let gate: Gate;
  let s3: S3Endpoint;
  let clients: S3Client[];

  beforeAll(async () => {
    if (server === undefined) throw new Error("There is no server.");
    const { account, accountKey, endpoint } = server;
    const name = `silent-${randomBytes(8).toString("hex")}`;
    container = new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, accountKey));
    await container.create();
    gate = await openGate(endpoint);
    const store = { driver: "azure", container: name, account, account_key: accountKey, endpoint: gate.url };
    const sites = [{ name: "onprem", role: "primary", store }, fileSite("cloud", "burst")];
    s3 = await startS3Endpoint(
      "silent",
      { workers: 3 },
      {
        resilience: {
          health_poll_interval: "1h",
          timeout: { request: `${SILENT_MS}ms`, idle: `${SILENT_MS}ms` },
          retry: { enabled: false },
        },
      },
      sites,
    );
    clients = dealtClients(s3, CLIENTS);
  });
  afterAll(async () => {
    for (const client of clients ?? []) client.destroy();
    await s3?.stop();
    await gate?.shut();
    await container?.delete();
  });

  /** Returns how long it took. */
  async function read(client: S3Client, Key: string): Promise<number> {
    const sinceMs = performance.now();
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    expect(await Body?.transformToString()).toBe("both have it");
    return performance.now() - sinceMs;
  }

  test("one read waits for it, and the others go elsewhere at once, whichever process they reach", async () => {
    const [first, ...others] = clients as [S3Client, ...S3Client[]];
    await first.send(new CreateBucketCommand({ Bucket }));
    await first.send(new PutObjectCommand({ Bucket, Key: "x", Body: "both have it" }));
    await until("both have it", async () => {
      const { out } = await runGlobalfs(["explain", `${Bucket}/x`, "--json"], {
        env: { GLOBALFS_COORDINATOR: s3.daemon.url },
      });
      const { copies } = JSON.parse(out) as { copies: { site: string; state: string }[] };
      return copies.some(({ site, state }) => site === "cloud" && state === "present");
    });
    for (const client of clients) expect(await read(client, "x")).toBeLessThan(SILENT_MS);
    gate.silence();
    expect(await read(first, "x")).toBeGreaterThan(SILENT_MS / 2);
    const tookMs: number[] = [];
    for (const client of others) tookMs.push(await read(client, "x"));
    expect(Math.max(...tookMs)).toBeLessThan(SILENT_MS / 2);
  });
});
