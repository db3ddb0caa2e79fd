import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../servers/shared-server.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { runGlobalfs } from "./support/command.ts";
import { binaryWords, cleanEnvironment, type ReadyDaemon, startDaemon } from "./support/daemon.ts";

const hasBash = (await findProgram("bash")) !== undefined;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-up-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function startUp(name: string): Promise<ReadyDaemon> {
  return await startDaemon({ directory, words: ["up", "--open", "--data-dir", name, "--listen", "127.0.0.1:0"] });
}

describe("globalfs up", () => {
  test("serves, stops tidily on SIGTERM, and has everything again after a restart", async () => {
    const first = await startUp("data");
    const env = { GLOBALFS_COORDINATOR: first.url };
    expect((await runGlobalfs(["object", "put", "my-key", "--input", "-"], { env, input: "hello world\n" })).exit).toBe(
      0,
    );
    expect((await runGlobalfs(["object", "get", "my-key"], { env })).out).toBe("hello world\n");
    expect((await runGlobalfs(["status"], { env })).exit).toBe(0);
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    expect((await runGlobalfs(["status"], { env })).exit).toBe(3);

    const second = await startUp("data");
    try {
      expect((await runGlobalfs(["cat", "my-key"], { env: { GLOBALFS_COORDINATOR: second.url } })).out).toBe(
        "hello world\n",
      );
    } finally {
      expect(await second.stop("SIGINT")).toEqual({ code: 0, signal: null });
    }
  });

  test("leaves its configuration for this user alone, and commands for the whole catalog find it there", async () => {
    const cwd = join(directory, "home");
    await mkdir(join(cwd, "below"), { recursive: true });
    const words = ["up", "--data-dir", join(cwd, ".globalfs"), "--listen", "127.0.0.1:0"];
    const daemon = await startDaemon({ directory, words });
    try {
      const told = await runGlobalfs(["object", "put", "k"], { directory: cwd, input: "x" });
      expect(told.exit).toBe(0);
      const file = join(cwd, ".globalfs", "config.yaml");
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const catalog = join(cwd, ".globalfs", "catalog");
      expect((await runGlobalfs(["meta", "check"], { directory: cwd })).err).toContain(catalog);
      expect((await runGlobalfs(["meta", "check"], { directory: join(cwd, "below") })).out).toContain("no faults");
      expect((await runGlobalfs(["audit", "verify"], { directory: cwd })).out).toContain("no faults");
      expect((await runGlobalfs(["meta", "backup"], { directory: cwd })).err).toContain("onprem: ");
      expect((await runGlobalfs(["meta", "backups"], { directory: cwd })).out).toContain("onprem");
      await chmod(file, 0o644);
      expect(await runGlobalfs(["meta", "check"], { directory: cwd })).toMatchObject({
        exit: 2,
        err: expect.stringContaining("chmod 600"),
      });
      const elsewhere = await runGlobalfs(["meta", "check"], { directory });
      expect([elsewhere.exit, elsewhere.err]).toEqual([2, expect.stringContaining("--config")]);
    } finally {
      await daemon.stop();
    }
    await chmod(join(cwd, ".globalfs", "config.yaml"), 0o600);
    await rm(join(cwd, ".globalfs", "catalog"), { recursive: true });
    expect((await runGlobalfs(["meta", "rebuild"], { directory: cwd })).exit).toBe(0);
    const secret = await readFile(join(cwd, ".globalfs", "s3.env"), "utf8");
    const again = await startDaemon({ directory, words });
    try {
      // Its secret was sealed under a file that went with the catalog.
      const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = exported(secret);
      expect(exported(await readFile(join(cwd, ".globalfs", "s3.env"), "utf8"))).toMatchObject({
        AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY,
      });
      expect((await runGlobalfs(["cat", "k"], { directory: cwd })).out).toBe("x");
    } finally {
      await again.stop();
    }
  });

  test("opens an S3 endpoint with a key of its owner's, the same after a restart", async () => {
    const keys: (string | undefined)[] = [];
    for (let start = 0; start < 2; start++) {
      const daemon = await startUp("s3");
      try {
        const env = await readFile(join(directory, "s3", "s3.env"), "utf8");
        const value = (name: string): string => new RegExp(`^export ${name}=(.+)$`, "m").exec(env)?.[1] ?? "";
        const client = new S3Client({
          endpoint: value("AWS_ENDPOINT_URL"),
          region: value("AWS_REGION"),
          forcePathStyle: true,
          credentials: {
            accessKeyId: value("AWS_ACCESS_KEY_ID"),
            secretAccessKey: value("AWS_SECRET_ACCESS_KEY"),
          },
        });
        keys.push(value("AWS_SECRET_ACCESS_KEY"));
        if (start === 0) await client.send(new CreateBucketCommand({ Bucket: "photos" }));
        const { Buckets } = await client.send(new ListBucketsCommand({}));
        expect(Buckets?.map(({ Name }) => Name)).toEqual(["photos"]);
        client.destroy();
      } finally {
        expect(await daemon.stop()).toEqual({ code: 0, signal: null });
      }
    }
    expect(keys[0]).toMatch(/^\S{20,}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  test("refuses to listen for everybody without a key, and says what to do", async () => {
    const words = ["up", "--open", "--data-dir", join(directory, "open"), "--listen", "0.0.0.0:0"];
    const { exit, err } = await runGlobalfs(words, { env: { GLOBALFS_API_KEY: "" } });
    expect(exit).toBe(2);
    expect(err).toMatch(/GLOBALFS_API_KEY/);
  });

  test.skipIf(!hasBash)("ends the output quietly when its reader has seen enough", async () => {
    const daemon = await startUp("pipe");
    try {
      const env = { GLOBALFS_COORDINATOR: daemon.url };
      await runGlobalfs(["object", "put", "big"], { env, input: "x".repeat(8_000_000) });
      const pipe = ["-o", "pipefail", "-c", `"$0" "$@" | head -c 5`, process.execPath, ...binaryWords(["cat", "big"])];
      const child = spawn("bash", pipe, { env: cleanEnvironment(env) });
      let [out, err] = ["", ""];
      child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
      child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
      const [exit] = (await once(child, "close")) as [number];
      expect([exit, out, err]).toEqual([141, "xxxxx", ""]);
    } finally {
      await daemon.stop();
    }
  });
});

test("the only primary is not taken out by accident, the status tells when there is none, and it comes back by its address", async () => {
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary"), fileSite("cloud", "burst")], {
    coordinator: { listen_addr: "127.0.0.1:0", data_dir: "removal" },
  });
  const daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
  const run = async (...words: readonly string[]) =>
    await runGlobalfs(words, { input: "kept", env: { GLOBALFS_COORDINATOR: daemon.url } });
  try {
    expect((await run("object", "put", "k", "--input", "-")).exit).toBe(0);
    const [onprem] = JSON.parse((await run("site", "list", "--json")).out) as { location: string }[];
    const refused = await run("site", "remove", "--name", "onprem");
    expect([refused.exit, refused.err]).toEqual([6, expect.stringContaining("no primary site would be left")]);
    expect((await run("status")).exit).toBe(0);
    expect((await run("site", "remove", "--name", "onprem", "--force")).exit).toBe(0);
    const status = await run("status");
    expect([status.exit, status.out]).toEqual([1, expect.stringMatching(/^DEGRADED\n.*there is no primary site/s)]);
    const location = onprem?.location as string;
    expect(await run("site", "add", "--name", "onprem", "--role", "primary", "--uri", location)).toMatchObject({
      exit: 0,
    });
    expect((await run("status")).exit).toBe(0);
    expect((await run("cat", "k")).out).toBe("kept");
    expect((await run("site", "add", "--name", "other", "--role", "backup", "--uri", `file://${directory}`)).exit).toBe(
      5,
    );
  } finally {
    await daemon.stop();
  }
});

test("a configuration that is wrong keeps the daemon from starting", async () => {
  const { exit, err } = await runGlobalfs(["coordinator", "start", "--config", join(directory, "none.yaml")]);
  expect(exit).toBe(2);
  expect(err).toContain("globalfs config init");
});

test("globalfs-coordinator is a second name of the daemon, and /metrics has what is documented", async () => {
  const config = await writeConfiguration(directory, [fileSite("measured", "primary"), fileSite("behind", "burst")], {
    cache: { enabled: true },
  });
  const daemon = await startDaemon({ directory, binary: "globalfs-coordinator", words: ["--config", config] });
  try {
    await fetch(`${daemon.url}/api/v1/objects/x`, { method: "PUT", body: "x" });
    await (await fetch(`${daemon.url}/api/v1/objects/x`)).text();
    const scraped = await (await fetch(`${daemon.url}/metrics`)).text();
    for (const [name, type] of [
      ["globalfs_object_operations_total", "counter"],
      ["globalfs_object_operation_duration_seconds", "histogram"],
      ["globalfs_sites_current", "gauge"],
      ["globalfs_replication_jobs_total", "counter"],
      ["globalfs_replication_queue_depth", "gauge"],
      ["globalfs_cache_hits_total", "counter"],
      ["globalfs_cache_misses_total", "counter"],
      ["globalfs_cache_evictions_total", "counter"],
      ["globalfs_cache_bytes", "gauge"],
    ]) {
      expect(scraped).toContain(`# TYPE ${name} ${type}\n`);
    }
    expect(scraped).toMatch(/^globalfs_object_operations_total\{operation="put",status="success"\} 1$/m);
    expect(scraped).toMatch(/^globalfs_sites_current(\{\})? 2$/m);
  } finally {
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  }
});

function exported(file: string): Record<string, string> {
  return Object.fromEntries([...file.matchAll(/^export (\w+)=(.+)$/gm)].map(([, name, value]) => [name, value]));
}
