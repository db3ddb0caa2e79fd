import { mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { type GfsError, isGfsError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { systemRandom } from "../../core/ports/random.ts";
import { createEndpointGuard } from "../../security/index.ts";
import type { StoreConfig } from "../config/index.ts";
import { openStore } from "./open-store.ts";
import { storeOfUri } from "./site-uri.ts";

const ctx = backgroundCtx({ requestId: "test" });
const deps = { clock: systemClock, random: systemRandom, connectTimeoutMs: 1_000 };
const guard = createEndpointGuard({ allowedEndpoints: ["minio.example.org:9000"], allowedPaths: [] });

/** Where the driver itself would send requests. */
async function hostOf(store: StoreConfig): Promise<string> {
  const keys =
    store.driver === "azure"
      ? { accountKey: Buffer.from("key").toString("base64") }
      : { accessKeyId: "key", secretAccessKey: "secret" };
  const { store: opened } = await openStore({ ...store, ...keys }, deps);
  try {
    return new URL(await opened.presign(ctx, "key", { method: "GET", expiresSeconds: 60 })).host;
  } finally {
    await opened.close();
  }
}

function isAllowed(host: string): boolean {
  return (
    /^(?:[a-z0-9.-]+\.)?minio\.example\.org:9000$/.test(host) ||
    /\.(?:amazonaws\.com|amazonaws\.com\.cn|blob\.core\.windows\.net)$/.test(host) ||
    /^(?:.+\.)?storage\.googleapis\.com$/.test(host)
  );
}

const HOSTILE = [
  "localhost:18443/",
  "localhost:18443",
  "127.0.0.1",
  "evil.example",
  "evil.example/",
  "evil.example#",
  "evil.example?",
  "evil.example\\",
  "@evil.example",
  "user@evil.example",
  "evil.example:443/",
  "x.evil.example%2F",
  "%2F%2Fevil.example",
  "..",
  "",
  ".",
  "[::1]",
  "a\tb",
  "a b",
  "ä.example",
  "evil。example",
];
const part = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.constantFrom("bucket", "us-east-1", "cn-north-1", "account", "container"),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: fc.constantFrom(...Array.from("ab.-:/@#?%\\[]2F")), maxLength: 20 }),
);
const encodings = fc.constantFrom(encodeURIComponent, (text: string) => text);
const uri = fc
  .record({
    scheme: fc.constantFrom("s3", "gs", "azure"),
    place: part,
    rest: part,
    encode: encodings,
    query: fc.dictionary(
      fc.constantFrom("region", "endpoint", "prefix", "path_style"),
      fc.oneof(
        part,
        fc.constantFrom("true", "false", "http://minio.example.org:9000", "https://minio.example.org:9000/x"),
      ),
      { maxKeys: 4 },
    ),
  })
  .map(({ scheme, place, rest, encode, query }) => {
    const words = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return `${scheme}://${encode(place)}/${encode(rest)}${words.length === 0 ? "" : `?${words.join("&")}`}`;
  });

describe("the address of a site that is added at run time", () => {
  it("leads only to hosts that are allowed, whatever it says", async () => {
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(uri, async (text) => {
        let host: string;
        try {
          host = await hostOf(await storeOfUri(text, guard));
        } catch (error) {
          expect(isGfsError(error, "InvalidArgument", "ConfigInvalid", "PermissionDenied"), String(error)).toBe(true);
          return;
        }
        opened += 1;
        expect(isAllowed(host), `${text} leads to ${host}`).toBe(true);
      }),
      { numRuns: 3_000 },
    );
    expect(opened).toBeGreaterThan(20);
  });

  it.each([
    "s3://bucket?region=localhost:18443/",
    "s3://bucket?region=evil.example%23",
    "s3://bucket?region=x%40evil.example%2F",
    "s3://bucket:18443?region=us-east-1",
    "s3://evil.example%2F?region=us-east-1",
    "azure://evil.example%23/container",
    "azure://evil.example/container",
    "azure://account:18443/container",
    "azure://account/con%2Ftainer",
    "gs://bucket?endpoint=https://evil.example",
    "s3://bucket?endpoint=https://minio.example.org:9000%40evil.example",
    "s3://bucket?endpoint=http://minio.example.org:9000&region=localhost:18443/",
  ])("is refused when it would lead elsewhere: %s", async (text) => {
    const refusal: unknown = await storeOfUri(text, guard).catch((error: unknown) => error);
    expect(isGfsError(refusal, "InvalidArgument", "ConfigInvalid", "PermissionDenied"), String(refusal)).toBe(true);
  });

  it.each([
    ["s3://bucket?region=eu-central-1", "bucket.s3.eu-central-1.amazonaws.com"],
    ["s3://bucket?region=cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn"],
    ["s3://my.bucket?region=us-east-1", "s3.us-east-1.amazonaws.com"],
    ["s3://bucket?endpoint=http://minio.example.org:9000", "minio.example.org:9000"],
    ["s3://bucket?endpoint=http://minio.example.org:9000&path_style=false", "bucket.minio.example.org:9000"],
    ["gs://bucket", "storage.googleapis.com"],
    ["azure://account/container", "account.blob.core.windows.net"],
  ])("leads %s to %s", async (text, host) => {
    expect(await hostOf(await storeOfUri(text, guard))).toBe(host);
  });
});

describe("an answer that sends elsewhere", () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  async function serve(
    headers: () => Record<string, string>,
    status: number,
  ): Promise<{ port: number; seen: string[] }> {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(request.url ?? "");
      request.resume();
      response.writeHead(status, headers()).end();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { port: (server.address() as AddressInfo).port, seen };
  }

  const key = Buffer.from("key").toString("base64");
  it.each([301, 302, 303, 307, 308])("is not followed, with status %d", async (status) => {
    const elsewhere = await serve(() => ({}), 200);
    const sending = await serve(
      () => ({
        location: `http://127.0.0.1:${elsewhere.port}/container/key`,
        "x-amz-bucket-region": `127.0.0.1:${elsewhere.port}/`,
      }),
      status,
    );
    const endpoint = `http://127.0.0.1:${sending.port}`;
    for (const config of [
      { driver: "s3", bucket: "bucket", endpoint, accessKeyId: "a", secretAccessKey: "b", anonymous: false },
      { driver: "azure", container: "container", account: "account", accountKey: key, endpoint: `${endpoint}/account` },
    ] as const) {
      const { store } = await openStore(config, deps);
      await expect(store.head(ctx, "key")).rejects.toMatchObject({ name: "GfsError" });
      await expect(store.list(ctx, { limit: 1 })).rejects.toMatchObject({ name: "GfsError" });
      await expect(store.delete(ctx, "key")).rejects.toMatchObject({ name: "GfsError" });
      await store.close();
    }
    expect(sending.seen.length).toBeGreaterThan(5);
    expect(elsewhere.seen).toEqual([]);
  });
});

describe("a directory that is added at run time", () => {
  let base: string;

  beforeEach(async () => {
    base = await realpath(await mkdtemp(path.join(os.tmpdir(), "globalfs-uri-")));
    await mkdir(path.join(base, "allowed"));
    await mkdir(path.join(base, "outside"));
  });
  afterEach(async () => {
    await rm(base, { recursive: true });
  });

  const uriOf = (...names: string[]): string => `file://${path.join(base, ...names)}`;

  it("says how large the contents are that are noted together", async () => {
    await mkdir(path.join(base, "allowed"), { recursive: true });
    const open = createEndpointGuard({ allowedEndpoints: [], allowedPaths: [base] });
    const stored = async (query: string): Promise<unknown> =>
      ((await storeOfUri(`${uriOf("allowed")}${query}`, open)) as { intakeBytes?: number }).intakeBytes;
    expect(await stored("")).toBeUndefined();
    expect(await stored("?intake=0")).toBe(0);
    expect(await stored("?intake=4KiB")).toBe(4_096);
    for (const wrong of ["1GiB", "some", "-1"])
      await expect(stored(`?intake=${wrong}`)).rejects.toMatchObject({ code: "InvalidArgument" });
    await expect(stored("?region=x")).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  it("lies below what is allowed also once links are followed", async () => {
    const allowing = createEndpointGuard({ allowedEndpoints: [], allowedPaths: [path.join(base, "allowed")] });
    await symlink("../outside", path.join(base, "allowed", "link"));
    await mkdir(path.join(base, "allowed", "inside"));
    await symlink("inside", path.join(base, "allowed", "short"));
    for (const bad of [["allowed", "link"], ["allowed", "link", "new"], ["outside"], ["allowed", "..", "outside"]])
      await expect(storeOfUri(uriOf(...bad), allowing)).rejects.toThrow(/allowed_paths/);
    expect(await storeOfUri(uriOf("allowed", "new"), allowing)).toMatchObject({
      path: path.join(base, "allowed", "new"),
    });
    expect(await storeOfUri(uriOf("allowed", "short", "new"), allowing)).toMatchObject({
      path: path.join(base, "allowed", "inside", "new"),
    });
  });

  it("is not left by a link that is put in its place between the check and the use", async () => {
    const allowing = createEndpointGuard({ allowedEndpoints: [], allowedPaths: [path.join(base, "allowed")] });
    await mkdir(path.join(base, "allowed", "site"));
    const config = await storeOfUri(uriOf("allowed", "site"), allowing);
    await rm(path.join(base, "allowed", "site"), { recursive: true });
    await symlink("../outside", path.join(base, "allowed", "site"));
    const refusal = await openStore(config, deps).catch((error: unknown) => error as GfsError);
    expect(refusal).toMatchObject({ name: "GfsError" });
    await rm(path.join(base, "allowed", "site"));
    await mkdir(path.join(base, "allowed", "site"));
    const { store } = await openStore(config, deps);
    await store.close();
  });

  it("may be allowed by a name that is a link itself", async () => {
    await symlink("outside", path.join(base, "by-link"));
    const allowing = createEndpointGuard({ allowedEndpoints: [], allowedPaths: [path.join(base, "by-link")] });
    expect(await storeOfUri(uriOf("by-link", "site"), allowing)).toMatchObject({
      path: path.join(base, "outside", "site"),
    });
  });
});
