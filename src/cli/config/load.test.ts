import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isGfsError } from "../../core/errors.ts";
import { configTemplate, type LoadedConfig, loadConfig, redactConfig } from "./index.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-config-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function load(content: string, env: Record<string, string> = {}): Promise<LoadedConfig> {
  const path = join(directory, "config.yaml");
  await writeFile(path, content);
  return loadConfig({ path, env });
}

async function problems(content: string, env: Record<string, string> = {}): Promise<string[]> {
  const error = await load(content, env).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!isGfsError(error, "ConfigInvalid")) throw new Error(`Expected ConfigInvalid, got ${String(error)}`);
  return error.message
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
}

const SITES = `
sites:
  - name: onprem
    role: primary
    store: {driver: memory}
`;

const DOCUMENTED = `global:
  cluster_name: my-cluster

coordinator:
  listen_addr: ":8090"
  etcd_endpoints:
    - localhost:2379

sites:
  - name: onprem
    role: primary
    objectfs:
      s3_bucket: my-onprem-bucket
      s3_region: us-west-2

  - name: cloud
    role: burst
    objectfs:
      s3_bucket: my-cloud-bucket
      s3_region: us-east-1
`;

describe("a configuration file", () => {
  test("in its documented minimal form gives two S3 sites and the documented defaults", async () => {
    const { config, warnings } = await load(DOCUMENTED);
    expect(warnings).toEqual([]);
    expect(config.global).toEqual({
      clusterName: "my-cluster",
      logLevel: "info",
      logFormat: "auto",
      metricsEnabled: true,
      metricsPort: 9090,
    });
    expect(config.coordinator).toEqual({
      listenAddress: ":8090",
      hostNames: [],
      maxConnections: 10_000,
      dataDirectory: join(directory, ".globalfs"),
      kv: { engine: "lmdb", mapSizeBytes: 64 * 1024 ** 3 },
      leaseMs: 60_000,
      backup: { everyMs: 6 * 3_600_000, keep: 8, sites: [] },
    });
    expect(config.sites).toEqual([
      {
        name: "onprem",
        role: "primary",
        foreign: "merge",
        store: { driver: "s3", bucket: "my-onprem-bucket", region: "us-west-2", anonymous: false },
      },
      {
        name: "cloud",
        role: "burst",
        foreign: "merge",
        store: { driver: "s3", bucket: "my-cloud-bucket", region: "us-east-1", anonymous: false },
      },
    ]);
    expect(config.resilience).toEqual({
      healthPollIntervalMs: 30_000,
      circuitBreaker: { enabled: false, threshold: 5, cooldownMs: 30_000 },
      retry: { enabled: false, maxAttempts: 3, initialDelayMs: 100, maxDelayMs: 2_000, multiplier: 2 },
      timeout: { connectMs: 5_000, requestMs: 30_000, idleMs: 60_000 },
    });
    expect(config.cache).toEqual({ enabled: false, maxBytes: 67_108_864, ttlMs: 0 });
    expect(config.performance).toEqual({
      maxConcurrentTransfers: 8,
      transferChunkBytes: 16_777_216,
      verify: "metadata",
      bandwidth: [],
    });
    expect(config.rules).toEqual([]);
  });

  test("may say everything else too, in people's units", async () => {
    const { config } = await load(`
coordinator: {data_dir: /var/lib/globalfs, kv: {engine: lmdb, map_size: 1GiB}, health_check_interval: 1m30s}
sites:
  - name: disk
    role: primary
    foreign: ignore
    network: {bandwidth: 125MB, latency: 2ms}
    store: {driver: file, path: data, intake: 16KiB}
  - {name: lake, role: backup, store: {driver: azure, container: c, account: a, account_key: k}}
  - {name: gcs, role: burst, store: {driver: gcs, bucket: b, access_key_id: i, secret_access_key: s}}
policy:
  rules:
    - {name: hot, key_pattern: "datasets/hot/*", operations: [read], target_roles: [primary], priority: 10}
    - {name: rest, key_pattern: "**", publish: before-ack, consistency: strict}
performance: {bandwidth: [{from: disk, to: "*", limit: 10MiB}], verify: read}
cache: {enabled: true, max_bytes: 1MiB, ttl: 5m}
security: {allowed_paths: [/srv], allowed_endpoints: ["*.example.org"]}
`);
    expect(config.coordinator.dataDirectory).toBe("/var/lib/globalfs");
    expect(config.resilience.healthPollIntervalMs).toBe(90_000);
    expect(config.sites[0]).toEqual({
      name: "disk",
      role: "primary",
      foreign: "ignore",
      network: { bandwidthBytesPerSecond: 125e6, latencyMs: 2 },
      store: { driver: "file", path: join(directory, "data"), intakeBytes: 16_384 },
    });
    expect(config.sites[1]?.store).toEqual({ driver: "azure", container: "c", account: "a", accountKey: "k" });
    expect(config.sites[2]?.store).toMatchObject({ driver: "gcs", endpoint: "https://storage.googleapis.com" });
    expect(config.rules).toEqual([
      {
        name: "hot",
        keyPattern: "datasets/hot/*",
        operations: ["read"],
        targetRoles: ["primary"],
        priority: 10,
        publish: "soon",
        consistency: "close-to-open",
      },
      {
        name: "rest",
        keyPattern: "**",
        operations: [],
        targetRoles: [],
        priority: 0,
        publish: "before-ack",
        consistency: "strict",
      },
    ]);
    expect(config.performance.bandwidth).toEqual([{ from: "disk", to: "*", bytesPerSecond: 10 * 1024 ** 2 }]);
    expect(config.cache).toEqual({ enabled: true, maxBytes: 1024 ** 2, ttlMs: 300_000 });
  });

  test("treats an empty section as one that was not written", async () => {
    const { config } = await load(`cache:\nglobal:\n  log_file:\n${SITES}`);
    expect(config.cache.maxBytes).toBe(67_108_864);
    expect(config.global.logFile).toBeUndefined();
  });

  test("from the starter template is valid, without warnings", async () => {
    const { config, warnings } = await load(configTemplate());
    expect(warnings).toEqual([]);
    expect(config.sites.map(({ name }) => name)).toEqual(["onprem", "cloud"]);
  });

  test("that is absent is an error that says how to make one", async () => {
    await expect(loadConfig({ path: join(directory, "absent.yaml"), env: {} })).rejects.toThrow(
      /There is no configuration file at .*absent\.yaml; write one with `globalfs config init/,
    );
  });
});

describe("what is wrong in a configuration", () => {
  test("is said all at once, with line numbers in the order of the file", async () => {
    expect(
      await problems(`coordinator:
  listen_adr: ":8090"
  lease_timeout: 30
sites:
  - name: onprem
    role: primry
    objectfs: {s3_region: us-west-2}
  - name: cloud
    role: burst
    store: {driver: files, path: x}
cache:
  enabled: sometimes
  max_bytes: -1
resilience: {circuit_breaker: {threshold: 0}}
`),
    ).toEqual([
      "line 2: unknown key `listen_adr` in coordinator; did you mean `listen_addr`?",
      'line 3: `coordinator.lease_timeout`: "30" is not a duration; write a number with a unit, such as 250ms, 30s, 5m or 2h.',
      'line 6: `sites[0].role` must be one of primary, burst, backup, but it is "primry"',
      "line 7: `sites[0].objectfs.s3_bucket` is missing; expected text",
      'line 10: `sites[1].store.driver` must be one of file, memory, s3, gcs, azure, but it is "files"; did you mean `file`?',
      'line 12: `cache.enabled` must be true or false, but it is "sometimes"',
      'line 13: `cache.max_bytes`: "-1" is not a size; write bytes or a number with a unit, such as 64MiB or 1GB.',
      "line 14: `resilience.circuit_breaker.threshold` must be a whole number from 1 to 1000000, but it is 0",
    ]);
  });

  test.each([
    ["no sites", "cache: {enabled: true}", /no sites are configured/],
    [
      "a name used twice",
      `${SITES}  - {name: onprem, role: burst, store: {driver: memory}}`,
      /line 6: there are two sites with the name `onprem`/,
    ],
    ["a site without a store", "sites: [{name: a, role: primary}]", /site `a` says nothing of where its objects are/],
    [
      "two stores",
      "sites: [{name: a, role: primary, store: {driver: memory}, objectfs: {s3_bucket: b, s3_region: r}}]",
      /has both `store` and `objectfs`/,
    ],
    [
      "half a key pair",
      "sites: [{name: a, role: primary, store: {driver: s3, bucket: b, access_key_id: i}}]",
      /`secret_access_key` is missing/,
    ],
    ["an unknown top-level key", `sitez: []\n${SITES}`, /line 1: unknown key `sitez`; did you mean `sites`\?/],
    ["an unknown key without a near one", `${SITES}zebra: 1`, /unknown key `zebra`; known are global, coordinator/],
    [
      "an unknown key of a driver",
      "sites: [{name: a, role: primary, store: {driver: file, path: p, bukket: b}}]",
      /unknown key `bukket` in sites\[0\]\.store; known are driver, path/,
    ],
    [
      "a bad site name",
      "sites: [{name: On_Prem, role: primary, store: {driver: memory}}]",
      /`sites\[0\]\.name` must be 1 to 63 lower-case letters/,
    ],
    ["a section that is a list", `cache: [1]\n${SITES}`, /`cache` must be a map with enabled, max_bytes, ttl/],
    ["sites that are a map", "sites: {a: 1}", /`sites` must be a list, but it is a map/],
    [
      "an unknown operation",
      `${SITES}policy: {rules: [{name: r, key_pattern: x, operations: [reed]}]}`,
      /`policy\.rules\[0\]\.operations` must be a list of read, write, delete, but it is \["reed"\]/,
    ],
    [
      "a limit for an unknown site",
      `${SITES}performance: {bandwidth: [{from: onprem, to: mars, limit: 1MB}]}`,
      /there is no site `mars`/,
    ],
    [
      "an address without a port",
      `coordinator: {listen_addr: localhost}\n${SITES}`,
      /"localhost" is no address to listen on/,
    ],
    ["broken YAML", "sites:\n  - {name: a\nx", /line \d: not valid YAML/],
    ["a key written twice", `${SITES}cache: {}\ncache: {}`, /line 7: not valid YAML: Map keys must be unique/],
    ["a file that is no map", "- 1", /must be a map of sections/],
    ["an object that stands for a prototype", `${SITES}__proto__: {cache: 1}`, /unknown key `__proto__`/],
  ])("names %s", async (_what, content, expected) => {
    expect((await problems(content)).join("\n")).toMatch(expected);
  });

  test("lets keys of the configuration have grants and an end", async () => {
    const hash = `sha256:${"a".repeat(64)}`;
    const { config } = await load(
      `${SITES}security: {api_keys: [{name: a, hash: "${hash}"}, {name: b, hash: "${hash}", grants: [{path: /data/in/, role: reader}], expires: "2030-01-31T00:00:00Z"}]}`,
    );
    expect(config.security.apiKeys).toEqual([
      { name: "a", hash },
      { name: "b", hash, grants: [{ path: "data/in", role: "reader" }], expiresMs: Date.UTC(2030, 0, 31) },
    ]);
    const wrong = async (more: string): Promise<string> =>
      (await problems(`${SITES}security: {api_keys: [{name: a, hash: "${hash}", ${more}}]}`)).join("\n");
    expect(await wrong("grants: [{path: x, role: king}]")).toMatch(/grants\[0\]\.role/);
    for (const time of ["2030-13-01T00:00:00Z", "tomorrow", "2030-01-31"])
      expect(await wrong(`expires: "${time}"`)).toMatch(/expires.*a time in UTC/);
  });

  test("never shows a secret", async () => {
    const found = await problems("security: {api_keys: [{name: a, hash: hunter22}]}\nsites: []");
    expect(found.join("\n")).toMatch(/`security\.api_keys\[0\]\.hash` must be `sha256:`/);
    expect(found.join("\n")).not.toContain("hunter22");
  });

  test("does not let aliases blow up", async () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (let index = 0; index < 8; index++) {
      const [previous, next] = ["abcdefghi"[index], "abcdefghi"[index + 1]];
      bomb.push(`${next}: &${next} [${Array.from({ length: 9 }, () => `*${previous}`).join(",")}]`);
    }
    await expect(load(bomb.join("\n"))).rejects.toThrow(/cannot be read/);
  });
});

describe("environment variables", () => {
  test("stand above the file, for scalars, lists and sites by name", async () => {
    const { config, sources } = await load(
      `cache: {enabled: false}\n${SITES.replace("memory", "s3, bucket: b, access_key_id: i")}`,
      {
        GLOBALFS_CACHE_ENABLED: "true",
        GLOBALFS_CACHE_TTL: "90s",
        GLOBALFS_COORDINATOR_LISTEN_ADDR: "127.0.0.1:0",
        GLOBALFS_COORDINATOR_KV_ENGINE: "memory",
        GLOBALFS_RESILIENCE_RETRY_MULTIPLIER: "1.5",
        GLOBALFS_SECURITY_ALLOWED_PATHS: "/a, /b",
        GLOBALFS_SITES_ONPREM_STORE_SECRET_ACCESS_KEY: "hidden",
        GLOBALFS_API_KEY: "secret",
      },
    );
    expect(config.cache).toEqual({ enabled: true, maxBytes: 67_108_864, ttlMs: 90_000 });
    expect(config.coordinator.listenAddress).toBe("127.0.0.1:0");
    expect(config.coordinator.kv.engine).toBe("memory");
    expect(config.resilience.retry.multiplier).toBe(1.5);
    expect(config.security.allowedPaths).toEqual(["/a", "/b"]);
    expect(config.security.environmentApiKey).toBe("secret");
    expect(config.sites[0]?.store).toMatchObject({ secretAccessKey: "hidden" });
    expect(sources.get("cache.enabled")).toBe("GLOBALFS_CACHE_ENABLED");
    expect(sources.get("sites[0].role")).toBe("line 5");
    expect(sources.has("cache.max_bytes")).toBe(false);
  });

  test("that are wrong are named in the error", async () => {
    expect(await problems(SITES, { GLOBALFS_CACHE_TTL: "soon", GLOBALFS_CACHE_ENABLED: "maybe" })).toEqual([
      'GLOBALFS_CACHE_ENABLED: `cache.enabled` must be true or false, but it is "maybe"',
      'GLOBALFS_CACHE_TTL: `cache.ttl`: "soon" is not a duration; write a number with a unit, such as 250ms, 30s, 5m or 2h.',
    ]);
  });

  test("that look like a field but are none give a warning", async () => {
    const { warnings } = await load(SITES, { GLOBALFS_CACHE_ENABLE: "1", GLOBALFS_REQUIRE_SERVERS: "1" });
    expect(warnings).toEqual([
      "The environment variable GLOBALFS_CACHE_ENABLE has no effect; did you mean GLOBALFS_CACHE_ENABLED?",
    ]);
  });
});

describe("warnings", () => {
  test("tell of reserved fields, where they were set to something", async () => {
    const { warnings } = await load(`coordinator: {etcd_endpoints: ["etcd:2379"]}
performance: {cache_size: 2GB}
sites: [{name: a, role: backup, objectfs: {s3_bucket: b, s3_region: r, mount_point: /mnt}, cargoship: {enabled: true}}]
`);
    const reserved = "is accepted for compatibility and has no effect in this version.";
    expect(warnings).toEqual([
      `line 1: \`coordinator.etcd_endpoints\` ${reserved}`,
      `line 3: \`sites[0].objectfs.mount_point\` ${reserved}`,
      `line 3: \`sites[0].cargoship.enabled\` ${reserved}`,
      `line 2: \`performance.cache_size\` ${reserved}`,
      "No site has the role primary, so no copy is authoritative.",
    ]);
  });

  test("tell of a health interval that another one hides", async () => {
    const { warnings, config } = await load(
      `coordinator: {health_check_interval: 10s}\nresilience: {health_poll_interval: 5s}\n${SITES}`,
    );
    expect(config.resilience.healthPollIntervalMs).toBe(5_000);
    expect(warnings.join()).toMatch(/`coordinator\.health_check_interval` has no effect/);
  });
});

describe("what is shown of a configuration", () => {
  const secret = `security: {api_keys: [{name: a, hash: "sha256:${"a".repeat(64)}"}]}
sites:
  - {name: s, role: primary, store: {driver: s3, bucket: b, access_key_id: visible, secret_access_key: hidden-1, session_token: hidden-2}}
  - {name: z, role: burst, store: {driver: azure, container: c, connection_string: hidden-3}}
`;

  test("has no secrets", async () => {
    const { config, resolvedYaml } = await load(secret, { GLOBALFS_API_KEY: "hidden-4" });
    for (const text of [resolvedYaml, JSON.stringify(redactConfig(config))]) {
      expect(text).not.toMatch(/hidden-|aaaa/);
      expect(text).toContain("visible");
      expect(text).toContain("(redacted)");
    }
  });

  test("can be read again and says the same", async () => {
    const first = await load(DOCUMENTED);
    const second = await load(first.resolvedYaml);
    expect(second.config).toEqual(first.config);
    expect(first.resolvedYaml).toContain("lease_timeout: 1m\n");
  });
});
