import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, expect, test } from "vitest";
import { forEachBounded } from "../../src/core/async/for-each.ts";
import { fileSite } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { mountSmallDisk, type SmallDisk } from "./support/small-disk.ts";
import { until } from "./support/until.ts";

/** Sites and catalog lie on one disk, and it is full to the last block: what was acknowledged can be read and deleted, and then there is room again. */

const Bucket = "full";
const MIB = 1024 ** 2;
/** The catalog keeps 64 MiB of its disk free of objects. */
const DISK_MIB = 160;
const SMALL_OBJECTS = 300;
const BODY = Buffer.alloc(4 * MIB, "body");

let disk: SmallDisk | undefined;
let s3: S3Endpoint | undefined;
let sdk: S3Client | undefined;
let again: ReadyDaemon | undefined;
afterEach(async () => {
  sdk?.destroy();
  await again?.stop();
  again = undefined;
  await s3?.stop();
  await disk?.dispose();
  [disk, s3, sdk] = [undefined, undefined, undefined];
});

/** As another program does: until the disk takes not one byte more. */
async function fillUp(path: string): Promise<void> {
  const file = await open(path, "a");
  try {
    for (let sizeBytes = MIB; sizeBytes >= 1;) {
      const wrote = await file.write(Buffer.alloc(sizeBytes)).catch((error: NodeJS.ErrnoException) => {
        expect(error.code).toBe("ENOSPC");
        return undefined;
      });
      if (wrote === undefined) sizeBytes = Math.floor(sizeBytes / 2);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

test.for(["tmpfs", "ext4"] as const)(
  "on a %s without a free block reads go on and deletes succeed through both doors, and then writes again",
  { timeout: 120_000 },
  async (kind, { skip }) => {
    disk = await mountSmallDisk(kind, DISK_MIB);
    if (disk === undefined) return skip("mounting a small disk is not permitted here");
    const { directory } = disk;
    s3 = await startS3Endpoint("full-disk", { workers: 1 }, {}, [fileSite("onprem", "primary")], directory);
    const client = s3.sdk();
    sdk = client;
    await client.send(new CreateBucketCommand({ Bucket }));
    const put = async (Key: string): Promise<string> =>
      await client.send(new PutObjectCommand({ Bucket, Key, Body: BODY })).then(
        () => "done",
        (error: Error) => error.name,
      );
    const get = async (Key: string): Promise<Buffer> => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    };
    const rest = async (method: string, key: string, body?: Uint8Array<ArrayBuffer>): Promise<number> => {
      const answer = await fetch(`${s3?.daemon.url}/api/v1/objects/${Bucket}/${key}`, {
        method,
        ...(body === undefined ? {} : { body }),
      });
      await answer.arrayBuffer();
      return answer.status;
    };

    const small = Array.from({ length: SMALL_OBJECTS }, (_, index) => `small-${index}`);
    await forEachBounded(small, 8, async (Key) => {
      await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    });
    const keys: string[] = [];
    let refused = "done";
    for (let index = 0; refused === "done"; index++) {
      refused = await put(`key-${index}`);
      if (refused === "done") keys.push(`key-${index}`);
    }
    expect(refused).toBe("InsufficientStorage");
    expect(keys.length).toBeGreaterThan(6);
    const ballast = join(directory, "of-another-program");
    await fillUp(ballast);
    expect((await statfs(directory)).bavail).toBe(0);
    expect([await put("more"), await rest("PUT", "more", Buffer.from("x"))]).toEqual(["InsufficientStorage", 507]);

    const [kept, ...others] = keys as [string, ...string[]];
    expect((await get(kept)).equals(BODY)).toBe(true);
    const [first, second, third, fourth, ...last] = others as [string, string, string, string, ...string[]];
    await client.send(new DeleteObjectCommand({ Bucket, Key: first }));
    await fillUp(ballast);
    expect(await rest("DELETE", second)).toBe(204);
    await fillUp(ballast);
    const { Errors } = await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: third }, { Key: fourth }], Quiet: true } }),
    );
    expect(Errors ?? []).toEqual([]);
    // Each leaves a row of its own in the catalog, and frees next to nothing.
    for (const [index, Key] of small.entries()) {
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
      if (index % 10 === 0) await fillUp(ballast);
    }
    for (const key of [first, second, third, fourth]) expect(await rest("GET", key)).toBe(404);
    for (const key of [kept, ...last]) expect((await get(key)).equals(BODY)).toBe(true);
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(new Set(Contents?.map(({ Key }) => Key))).toEqual(new Set([kept, ...last]));

    await rm(ballast);
    // How full it was when writes were refused depends on how fast it was.
    for (const Key of last) await client.send(new DeleteObjectCommand({ Bucket, Key }));
    await until("writes are taken again", async () => (await put("again")) === "done");
    expect((await get("again")).equals(BODY)).toBe(true);
  },
);

test.for(["tmpfs", "ext4"] as const)(
  "a coordinator that was killed on a %s without a free block starts there again, reads and deletes",
  { timeout: 120_000 },
  async (kind, { skip }) => {
    disk = await mountSmallDisk(kind, DISK_MIB);
    if (disk === undefined) return skip("mounting a small disk is not permitted here");
    const { directory } = disk;
    s3 = await startS3Endpoint("full-disk", {}, {}, [fileSite("onprem", "primary")], directory);
    const ask = async (url: string, method: string, key: string): Promise<number> => {
      const answer = await fetch(`${url}/api/v1/objects/${key}`, {
        method,
        ...(method === "PUT" ? { body: "x" } : {}),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    for (const key of ["d/one", "d/two"]) expect(await ask(s3.daemon.url, "PUT", key)).toBe(201);
    const ballast = join(directory, "of-another-program");
    await fillUp(ballast);
    await s3.daemon.stop("SIGKILL");
    await fillUp(ballast);
    expect((await statfs(directory)).bavail).toBe(0);
    const config = join(directory, "config.yaml");
    again = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
    expect(await ask(again.url, "GET", "d/one")).toBe(200);
    expect(await ask(again.url, "DELETE", "d/one")).toBe(204);
    expect(await ask(again.url, "GET", "d/one")).toBe(404);
    expect(await ask(again.url, "GET", "d/two")).toBe(200);
    expect(await ask(again.url, "PUT", "d/three")).toBe(507);
    await rm(ballast);
    const { url } = again;
    await until("writes are taken again", async () => (await ask(url, "PUT", "d/three")) === 201);
  },
);
