import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startRadosgw } from "../../tests/servers/radosgw.ts";
import { freePort, type Server, startServer } from "./process.ts";
import type { S3Target } from "./s3-requests.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Absent `server`: another process looks after it. */
export interface S3Peer extends S3Target {
  readonly server?: Server;
}

/** One copy on a file site below `directory`. */
export async function startOurs(
  directory: string,
  name = "globalfs",
  workers = 1,
): Promise<S3Peer & { readonly server: Server }> {
  const [port, restPort] = [await freePort(), await freePort()];
  const home = join(directory, name);
  await mkdir(home, { recursive: true });
  const file = join(home, "config.json");
  const configuration = {
    global: { log_level: "WARN", metrics_enabled: false },
    coordinator: { listen_addr: `127.0.0.1:${restPort}`, data_dir: join(home, "catalog") },
    sites: [{ name: "disk", role: "primary", foreign: "ignore", store: { driver: "file", path: join(home, "site") } }],
    cache: { enabled: true },
    s3: { listen_addr: `127.0.0.1:${port}`, workers },
  };
  await writeFile(file, JSON.stringify(configuration));
  const server = await startServer([join(ROOT, "bin/globalfs-coordinator.js"), "--open", "--config", file], port);
  const words = ["key", "create", "--name", "bench", "--path", "/", "--role", "user", "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "bin/globalfs.js"), ...words], {
    env: { ...process.env, GLOBALFS_COORDINATOR: `http://127.0.0.1:${restPort}` },
  });
  const key = JSON.parse(stdout) as { readonly id: string; readonly secret: string };
  return { name: "GlobalFS", port, accessKeyId: key.id, secretAccessKey: key.secret, server };
}

/** Memory-backed, one copy. Undefined where its programs are missing. */
export async function startTheirRadosgw(): Promise<S3Peer | undefined> {
  const found = await startRadosgw();
  if (found === undefined) return undefined;
  const { accessKeyId, secretAccessKey } = found;
  return { name: "radosgw", port: Number(new URL(found.endpoint).port), accessKeyId, secretAccessKey };
}

/** Files below `directory`, never flushed. It makes the tokens of truncated listings with a cipher that OpenSSL 3 counts as outdated. */
export async function startS3rver(directory: string): Promise<S3Peer & { readonly server: Server }> {
  const port = await freePort();
  const data = join(directory, "s3rver");
  await mkdir(data, { recursive: true });
  const script = join(ROOT, "node_modules/s3rver/bin/s3rver.js");
  const runtime = "--openssl-legacy-provider";
  const server = await startServer(
    [runtime, script, "-d", data, "-a", "127.0.0.1", "-p", String(port), "--silent"],
    port,
  );
  return { name: "s3rver", port, accessKeyId: "S3RVER", secretAccessKey: "S3RVER", server };
}

/** What node:http does with no S3 at all: the same bytes from memory, or files below `directory`. */
export async function startBareHttp(mode: "bytes" | "files", argument: string): Promise<S3Peer & { server: Server }> {
  const port = await freePort();
  const server = await startServer([join(ROOT, "bench/lib/bare-http-server.mjs"), String(port), mode, argument], port);
  return { name: "bare node:http", port, accessKeyId: "none", secretAccessKey: "none", server };
}
