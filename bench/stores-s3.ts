/**
 * The S3 driver beside the AWS SDK at the same endpoint: a real S3 server that the bench starts, or one that is named.
 *
 *   npm run bench -- stores-s3 [--rounds 3] [--seconds 2]
 *   GLOBALFS_TEST_S3=https://s3.example.com,ACCESS_KEY,SECRET_KEY npm run bench -- stores-s3
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { forEachBounded } from "../src/core/async/for-each.ts";
import { backgroundCtx } from "../src/core/context.ts";
import { createS3Store } from "../src/stores/drivers/s3/index.ts";
import { createBucket, independentClient, startRadosgw } from "../tests/servers/radosgw.ts";
import { printComparison } from "./lib/report.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, seconds: { type: "string", default: "2" } },
});
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1_000;
const SMALL = randomBytes(4_096);
const LARGE = randomBytes(64 * 1024 * 1024);
const MIB = 1024 * 1024;
const ctx = backgroundCtx();

const server = await startRadosgw();
if (server !== undefined) {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const bucket = await createBucket(server);
  const aws = independentClient(server);
  const store = createS3Store({ bucket: bucket.name, endpoint, credentials: { accessKeyId, secretAccessKey } });
  const ours = {
    async put(key: string, body: Uint8Array): Promise<void> {
      const staged = await store.stage(ctx, key, { sizeBytes: body.byteLength });
      for (let at = 0; at < body.byteLength; at += MIB) await staged.write(body.subarray(at, at + MIB));
      await staged.seal();
      await staged.commit(ctx);
    },
    async get(key: string): Promise<number> {
      let sizeBytes = 0;
      for await (const chunk of (await store.get(ctx, key)).stream) sizeBytes += chunk.byteLength;
      return sizeBytes;
    },
  };
  const theirs = {
    async put(key: string, body: Uint8Array): Promise<void> {
      await aws.send(new PutObjectCommand({ Bucket: bucket.name, Key: key, Body: body }));
    },
    async get(key: string): Promise<number> {
      const { Body: body } = await aws.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
      return (await body?.transformToByteArray())?.byteLength ?? 0;
    },
  };
  try {
    await ours.put("small", SMALL);
    await ours.put("large", LARGE);
    for (const concurrency of [1, 32]) {
      await compare(`GET 4 KiB, ${concurrency} at once`, "/s", (side) =>
        rate(concurrency, async () => void (await side.get("small"))),
      );
      await compare(`PUT 4 KiB, ${concurrency} at once`, "/s", (side) =>
        rate(concurrency, (index) => side.put(`put/${index % 64}`, SMALL)),
      );
    }
    await compare("GET 64 MiB", "MiB/s", (side) => throughput(async () => void (await side.get("large"))));
    await compare("PUT 64 MiB", "MiB/s", (side) => throughput(() => side.put("large", LARGE)));
  } finally {
    await store.close();
    aws.destroy();
    await bucket.remove();
  }

  async function compare(what: string, unit: string, measure: (side: typeof ours) => Promise<number>): Promise<void> {
    const figures = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      figures.ours.push(await measure(ours));
      figures.theirs.push(await measure(theirs));
    }
    printComparison({ what, unit, ...figures, peer: "AWS SDK" });
  }
}

async function rate(concurrency: number, work: (index: number) => Promise<void>): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  function* until(): Generator<number> {
    for (let index = 0; performance.now() - startMs < durationMs; index++) yield index;
  }
  await forEachBounded(until(), concurrency, async (index) => {
    await work(index);
    done += 1;
  });
  return (done * 1_000) / (performance.now() - startMs);
}

async function throughput(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (LARGE.byteLength / MIB / (performance.now() - startMs)) * 1_000;
}
