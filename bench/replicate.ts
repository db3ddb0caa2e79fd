/**
 * Replication of many small objects from a disk site to a real S3 server, beside `rclone copy` of the same directory to the same server with
 * the same parallelism. Needs rclone, and an S3 server: the one that the bench starts, or one that is named.
 *
 *   npm run bench -- replicate [--objects 10000] [--parallel 16] [--rounds 2]
 *   GLOBALFS_TEST_S3=https://s3.example.com,ACCESS_KEY,SECRET_KEY npm run bench -- replicate
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { forEachBounded } from "../src/core/async/for-each.ts";
import { createBucket, type S3Server, startRadosgw, type TestBucket } from "../tests/servers/radosgw.ts";
import { freePort, type Server, startServer } from "./lib/process.ts";
import { printComparison } from "./lib/report.ts";
import { call, queueDepth } from "./lib/rest.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "10000" },
    parallel: { type: "string", default: "16" },
    rounds: { type: "string", default: "2" },
  },
});
const objects = Number(values.objects);
const parallel = Number(values.parallel);
const KIB = 1024;
const run = promisify(execFile);

/** From 4 to 64 KiB, the same in every run. */
function bodyOf(index: number): Buffer {
  const seed = createHash("sha256").update(String(index)).digest();
  const sizeBytes = 4 * KIB + (seed.readUInt32BE(0) % (60 * KIB));
  return Buffer.alloc(sizeBytes, seed);
}

const keyOf = (index: number): string => `d${index % 100}/object-${index}`;

async function startGlobalFs(directory: string, server: S3Server, bucket: TestBucket): Promise<Server> {
  const port = await freePort();
  const file = path.join(directory, "bench.yaml");
  await writeFile(
    file,
    `global: { log_level: WARN, metrics_enabled: false }
coordinator: { listen_addr: "127.0.0.1:${port}", data_dir: ${directory}/catalog }
sites:
  - { name: disk, role: primary, foreign: ignore, store: { driver: file, path: ${directory}/disk } }
  - name: cloud
    role: burst
    foreign: ignore
    store:
      driver: s3
      bucket: ${bucket.name}
      endpoint: ${server.endpoint}
      access_key_id: ${server.accessKeyId}
      secret_access_key: ${server.secretAccessKey}
performance: { max_concurrent_transfers: ${parallel} }
limits: { max_queued_jobs: ${objects * 2} }
`,
  );
  return await startServer(["bin/globalfs-coordinator.js", "--open", "--config", file], port);
}

async function ours(directory: string, server: S3Server): Promise<number> {
  const bucket = await createBucket(server);
  const daemon = await startGlobalFs(directory, server, bucket);
  try {
    // The jobs wait until all objects are there, so that only their running is timed.
    await call(daemon.port, "POST", "/api/v1/jobs/pause");
    const indexes = Array.from({ length: objects }, (_, index) => index);
    await forEachBounded(
      indexes,
      16,
      async (index) => void (await call(daemon.port, "PUT", `/api/v1/objects/${keyOf(index)}`, bodyOf(index))),
    );
    const startedMs = performance.now();
    await call(daemon.port, "POST", "/api/v1/jobs/resume");
    while ((await queueDepth(daemon.port)) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    return objects / ((performance.now() - startedMs) / 1_000);
  } finally {
    await daemon.stop();
    await bucket.remove();
  }
}

async function theirs(directory: string, server: S3Server): Promise<number> {
  const bucket = await createBucket(server);
  const remote = `:s3,provider=Ceph,endpoint="${server.endpoint}",access_key_id=${server.accessKeyId},secret_access_key=${server.secretAccessKey}:${bucket.name}`;
  const flags = [
    "--transfers",
    String(parallel),
    "--checkers",
    String(parallel),
    "--exclude",
    ".globalfs/**",
    "--config",
    "/dev/null",
  ];
  try {
    const startedMs = performance.now();
    await run("rclone", ["copy", path.join(directory, "disk"), remote, ...flags], {
      env: { ...process.env, AWS_CA_BUNDLE: "" },
    });
    return objects / ((performance.now() - startedMs) / 1_000);
  } finally {
    await bucket.remove();
  }
}

const server = await startRadosgw();
if (server !== undefined) {
  const figures = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < Number(values.rounds); round++) {
    const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-replicate-"));
    try {
      figures.ours.push(await ours(directory, server));
      figures.theirs.push(await theirs(directory, server));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  printComparison({
    what: `replicating ${objects.toLocaleString("en")} objects of 4-64 KiB`,
    unit: "/s",
    peer: `rclone copy --transfers ${parallel}`,
    goal: 1,
    ...figures,
  });
}
