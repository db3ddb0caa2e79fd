import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runGlobalfs } from "./support/command.ts";
import { dealtClients } from "./support/dealt-clients.ts";
import { createKey, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** What docs/semantics.md promises of one request after another, when they reach different processes, and when there is but one. */

const Bucket = "box";
const ROUNDS = 15;

describe.each([
  [1, true],
  [2, true],
  [2, false],
])("with %i processes, a cache: %s", (workers, enabled) => {
  let s3: S3Endpoint;
  let clients: S3Client[];
  let turn = 0;
  const next = (): S3Client => clients[turn++ % clients.length] as S3Client;

  beforeAll(async () => {
    s3 = await startS3Endpoint("processes", { workers }, { cache: { enabled } });
    clients = dealtClients(s3, 2 * workers + 1);
    await next().send(new CreateBucketCommand({ Bucket }));
  });
  afterAll(async () => {
    for (const client of clients ?? []) client.destroy();
    await s3?.stop();
  });

  const put = async (Key: string, Body: string, more: object = {}): Promise<string> => {
    const { ETag } = await next().send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
    return ETag as string;
  };
  const read = async (client: S3Client, Key: string): Promise<string | undefined> =>
    await (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();

  test("R1 D1 L2 a write, an overwrite and a delete are seen by the next request, whichever process it reaches", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const Key = `data/${round}`;
      for (const body of ["first", "second, and longer"]) {
        await put(Key, body);
        for (const client of clients) expect(await read(client, Key)).toBe(body);
      }
      for (const client of clients) {
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "data/" }));
        expect(Contents.map((each) => [each.Key, each.Size])).toEqual([[Key, 18]]);
      }
      await next().send(new DeleteObjectCommand({ Bucket, Key }));
      for (const client of clients) {
        await expect(read(client, Key)).rejects.toBeInstanceOf(NoSuchKey);
        expect((await client.send(new ListObjectsV2Command({ Bucket, Prefix: "data/" }))).KeyCount).toBe(0);
      }
    }
  });

  test("W6 of writers that each require the state they saw, exactly one succeeds", async () => {
    const failure = { $metadata: { httpStatusCode: expect.toBeOneOf([409, 412]) as number } };
    for (let round = 0; round < ROUNDS; round++) {
      const before = await put("contended", `round ${round}`);
      const outcomes = await Promise.allSettled(
        clients.map(
          async (client, index) =>
            await client.send(
              new PutObjectCommand({ Bucket, Key: "contended", Body: `${round} by ${index}`, IfMatch: before }),
            ),
        ),
      );
      const won = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
      expect(won).toHaveLength(1);
      for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject(failure);
      for (const client of clients) expect(await read(client, "contended")).toBe(`${round} by ${won[0]}`);
    }
  });

  test("B2 V1 what a bucket was told holds for the next request in every process", async () => {
    const Key = "versioned/x";
    await next().send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
    const ids: string[] = [];
    for (const client of clients) {
      const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key, Body: `${ids.length}` }));
      ids.push(VersionId as string);
    }
    expect(new Set(ids).size).toBe(clients.length);
    await next().send(new DeleteObjectCommand({ Bucket, Key }));
    for (const client of clients) {
      await expect(client.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toMatchObject({ name: "NotFound" });
      for (const [index, VersionId] of ids.entries()) {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key, VersionId }));
        expect(await Body?.transformToString()).toBe(`${index}`);
      }
    }
  });

  test("A3 a key that was revoked opens nothing from the next request on, in no process", async () => {
    await put("plain", "x");
    for (let round = 0; round < 3; round++) {
      const key = await createKey(s3.daemon.url, "tester");
      const others = dealtClients({ ...s3, ...key }, clients.length);
      for (const client of others) await client.send(new HeadObjectCommand({ Bucket, Key: "plain" }));
      const { exit } = await runGlobalfs(["key", "revoke", key.accessKeyId], {
        env: { GLOBALFS_COORDINATOR: s3.daemon.url },
      });
      expect(exit).toBe(0);
      for (const client of others) {
        await expect(client.send(new HeadObjectCommand({ Bucket, Key: "plain" }))).rejects.toMatchObject({
          $metadata: { httpStatusCode: 403 },
        });
        client.destroy();
      }
    }
  });
});
