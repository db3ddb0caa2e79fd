import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { forEachBounded } from "../../src/core/async/for-each.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** The catalog has reached its size: writes are refused, for good and not to be tried again at once; reads and deletes go on. */

const Bucket = "full";
const METADATA = { note: "n".repeat(1_900) };
/** Rows are large, so that few are enough. */
const Tagging = Array.from({ length: 10 }, (_, index) => `tag${index}=${"t".repeat(250)}`).join("&");
const MOST_KEYS = 20_000;
let s3: S3Endpoint;
let sdk: S3Client;

beforeAll(async () => {
  s3 = await startS3Endpoint(
    "full",
    { workers: 1 },
    { coordinator: { listen_addr: "127.0.0.1:0", data_dir: "catalog", kv: { map_size: "16MiB" } } },
  );
  sdk = s3.sdk();
});
afterAll(async () => {
  sdk?.destroy();
  await s3?.stop();
});

interface Refused {
  readonly name: string;
  readonly message: string;
  readonly $metadata: { readonly httpStatusCode: number; readonly attempts: number };
}

async function refusal(work: Promise<unknown>): Promise<Refused | undefined> {
  return await work.then(
    () => undefined,
    (error: unknown) => error as Refused,
  );
}

test(
  "on a full catalog S3 and REST refuse writes with 507, and reads and deletes go on",
  { timeout: 120_000 },
  async () => {
    await sdk.send(new CreateBucketCommand({ Bucket }));
    const put = async (Key: string): Promise<unknown> =>
      await sdk.send(new PutObjectCommand({ Bucket, Key, Body: "x", Metadata: METADATA, Tagging }));
    const keys: string[] = [];
    let refused: Refused | undefined;
    const names = Array.from({ length: MOST_KEYS }, (_, index) => `key-${index}`);
    await forEachBounded(names, 16, async (key) => {
      if (refused !== undefined) return;
      const found = await refusal(put(key));
      if (found === undefined) keys.push(key);
      else refused = found;
    });
    // The SDK has not tried it again.
    expect(refused).toMatchObject({ name: "InsufficientStorage", $metadata: { httpStatusCode: 507, attempts: 1 } });
    expect(refused?.message).toContain("reads and deletes go on");
    const rest = await fetch(`${s3.daemon.url}/api/v1/objects/rest`, { method: "PUT", body: "x" });
    expect(rest.status).toBe(507);

    expect(await (await sdk.send(new GetObjectCommand({ Bucket, Key: keys[0] }))).Body?.transformToString()).toBe("x");
    for (const Key of keys.splice(0, 50)) await sdk.send(new DeleteObjectCommand({ Bucket, Key }));
    for (const key of keys.splice(0, 50)) {
      const { status } = await fetch(`${s3.daemon.url}/api/v1/objects/${Bucket}/${key}`, { method: "DELETE" });
      expect(status).toBe(204);
    }
    for (let batch = 0; batch < 2; batch++) {
      const Objects = keys.splice(0, 500).map((Key) => ({ Key }));
      const { Errors } = await sdk.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
      expect(Errors ?? []).toEqual([]);
    }
    const [deleted] = names;
    expect(await refusal(sdk.send(new GetObjectCommand({ Bucket, Key: deleted })))).toMatchObject({
      name: "NoSuchKey",
    });
  },
);
