import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** Several clients at once, each with connections of its own. */

const Bucket = "races";
const CLIENTS = 8;
let s3: S3Endpoint;
let clients: S3Client[];
let first: S3Client;

beforeAll(async () => {
  s3 = await startS3Endpoint("races");
  clients = Array.from({ length: CLIENTS }, () => s3.sdk());
  first = clients[0] as S3Client;
  await first.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  for (const client of clients ?? []) client.destroy();
  await s3?.stop();
});

/** The status that S3 refused with, or 200. */
async function statusOf(work: Promise<unknown>): Promise<number> {
  try {
    await work;
    return 200;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode ?? 0;
    throw error;
  }
}

async function text(Key: string): Promise<string> {
  const { Body } = await first.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? "";
}

/** All at once; which of them won, and that the others were told so. */
async function onlyWinner(contenders: readonly Promise<number>[]): Promise<number> {
  const statuses = await Promise.all(contenders);
  const winners = statuses.flatMap((status, index) => (status === 200 ? [index] : []));
  expect(winners, statuses.join(" ")).toHaveLength(1);
  // 409 asks to try again, 412 says that it is decided.
  expect(statuses.filter((status) => status !== 200 && status !== 412 && status !== 409)).toEqual([]);
  return winners[0] as number;
}

describe("writers that race", () => {
  test("to create an object with If-None-Match: exactly one wins, and its bytes are there", async () => {
    for (let round = 0; round < 20; round++) {
      const Key = `created/${round}`;
      const winner = await onlyWinner(
        clients.map(async (client, index) =>
          statusOf(client.send(new PutObjectCommand({ Bucket, Key, Body: `of ${index}`, IfNoneMatch: "*" }))),
        ),
      );
      expect(await text(Key)).toBe(`of ${winner}`);
    }
  });

  test("to replace an object with If-Match: exactly one wins", async () => {
    const Key = "replaced";
    await first.send(new PutObjectCommand({ Bucket, Key, Body: "in the beginning" }));
    for (let round = 0; round < 20; round++) {
      const { ETag } = await first.send(new HeadObjectCommand({ Bucket, Key }));
      const body = (index: number): string => `round ${round} of ${index}`;
      const winner = await onlyWinner(
        clients.map(async (client, index) =>
          statusOf(client.send(new PutObjectCommand({ Bucket, Key, Body: body(index), IfMatch: ETag }))),
        ),
      );
      expect(await text(Key)).toBe(body(winner));
    }
  });

  test("to complete uploads in parts with If-None-Match: exactly one wins", async () => {
    const Key = "completed";
    const uploads = await Promise.all(
      clients.map(async (client, index) => {
        const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
        const part = { Bucket, Key, UploadId, PartNumber: 1, Body: `parts of ${index}` };
        const { ETag } = await client.send(new UploadPartCommand(part));
        return { Bucket, Key, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] }, IfNoneMatch: "*" };
      }),
    );
    const winner = await onlyWinner(
      uploads.map(async (upload, index) =>
        statusOf((clients[index] as S3Client).send(new CompleteMultipartUploadCommand(upload))),
      ),
    );
    expect(await text(Key)).toBe(`parts of ${winner}`);
  });

  test("to count with If-Match lose no increment", async () => {
    const Key = "counter";
    await first.send(new PutObjectCommand({ Bucket, Key, Body: "0" }));
    const increment = async (client: S3Client): Promise<void> => {
      for (;;) {
        const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key }));
        const next = String(Number(await Body?.transformToString()) + 1);
        const status = await statusOf(client.send(new PutObjectCommand({ Bucket, Key, Body: next, IfMatch: ETag })));
        if (status === 200) return;
        expect([409, 412]).toContain(status);
      }
    };
    await Promise.all(
      clients.slice(0, 4).map(async (client) => {
        for (let time = 0; time < 10; time++) await increment(client);
      }),
    );
    expect(await text(Key)).toBe("40");
  });

  test("to overwrite an object without a condition never show bytes of two", async () => {
    const Key = "overwritten";
    const body = (index: number): string => String(index).repeat(100_000);
    await first.send(new PutObjectCommand({ Bucket, Key, Body: body(0) }));
    const writing = new AbortController();
    const reader = (async () => {
      while (!writing.signal.aborted) expect(new Set(await text(Key)).size).toBe(1);
    })();
    await Promise.all(
      clients.map(async (client, index) => {
        for (let time = 0; time < 5; time++) {
          await client.send(new PutObjectCommand({ Bucket, Key, Body: body(index) }));
        }
      }),
    );
    writing.abort();
    await reader;
  });
});

describe("listings while others write", () => {
  const stable = Array.from({ length: 300 }, (_, index) => `list/stable-${String(index).padStart(4, "0")}`);

  beforeAll(async () => {
    for (const Key of stable) await first.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  });

  const pagesOfV2 = async (client: S3Client): Promise<string[]> => {
    const keys: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket, Prefix: "list/", MaxKeys: 17, ContinuationToken }),
      );
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key as string));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    return keys;
  };
  const pagesOfV1 = async (client: S3Client): Promise<string[]> => {
    const keys: string[] = [];
    for (;;) {
      const page = await client.send(
        new ListObjectsCommand({ Bucket, Prefix: "list/", MaxKeys: 17, Marker: keys.at(-1) }),
      );
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key as string));
      if (page.IsTruncated !== true) return keys;
    }
  };

  test.each([
    ["version 2", pagesOfV2],
    ["version 1", pagesOfV1],
  ])("with %s neither skip nor double a key that stays", async (_name, pages) => {
    const writing = new AbortController();
    const writers = clients.slice(1, 4).map(async (client, writer) => {
      for (let time = 0; !writing.signal.aborted; time++) {
        // Before, between and behind the keys that stay.
        const Key = `list/stable-${String((time * 7) % 400).padStart(4, "0")}-${writer}`;
        await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
        await client.send(new DeleteObjectCommand({ Bucket, Key }));
      }
    });
    for (let time = 0; time < 8; time++) {
      const keys = await pages(first);
      expect(keys).toEqual([...new Set(keys)].toSorted());
      expect(keys.filter((key) => /^list\/stable-\d{4}$/.test(key))).toEqual(stable);
    }
    writing.abort();
    await Promise.all(writers);
  });
});
