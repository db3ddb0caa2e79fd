import { describe, expect, test } from "vitest";
import { isGfsError } from "../../core/errors.ts";
import { type LoadedConfig, loadConfig, redactConfig } from "./index.ts";

const SITES = "sites: [{name: onprem, role: primary, store: {driver: memory}}]\n";

async function load(s3: string, env: Record<string, string> = {}): Promise<LoadedConfig> {
  return await loadConfig({ content: SITES + s3, env });
}

async function problems(s3: string): Promise<string> {
  const error = await load(s3).catch((thrown: unknown) => thrown);
  if (!isGfsError(error, "ConfigInvalid")) throw new Error(`Expected ConfigInvalid, got ${String(error)}`);
  return error.message;
}

describe("the section s3", () => {
  test("turns the endpoint on, and alone has every default", async () => {
    expect((await load("")).config.s3).toBeUndefined();
    expect((await load("s3: {}")).config.s3).toEqual({
      listenAddress: ":8091",
      domains: [],
      region: "us-east-1",
      allowAnonymous: false,
      signatureV2: false,
      maxConnections: 10_000,
      workers: 1,
      lifecycleDayMs: 86_400_000,
      webhooks: [],
    });
  });

  test("may come from the environment", async () => {
    const { config } = await load("", { GLOBALFS_S3_LISTEN_ADDR: ":9000", GLOBALFS_S3_REGION: "lab" });
    expect(config.s3).toMatchObject({ listenAddress: ":9000", region: "lab" });
  });

  test("names certificates, domains, a bucket for the whole tree, and webhooks", async () => {
    const { config } = await load(`s3:
  domains: [s3.example.org]
  root_bucket: everything
  tls: {cert_file: /etc/tls/cert.pem, key_file: /etc/tls/key.pem}
  lifecycle_day: 10s
  webhooks:
    - {name: queue, url: "https://queue.example.org/in?token=hidden", secret: alsohidden}
`);
    expect(config.s3).toMatchObject({
      domains: ["s3.example.org"],
      rootBucket: "everything",
      tls: { certFile: "/etc/tls/cert.pem", keyFile: "/etc/tls/key.pem" },
      lifecycleDayMs: 10_000,
      webhooks: [{ name: "queue", url: "https://queue.example.org/in?token=hidden", secret: "alsohidden" }],
    });
    expect(JSON.stringify(redactConfig(config))).not.toContain("hidden");
  });

  test.each([
    ["s3: {listen_addr: nowhere}", /s3\.listen_addr/],
    ['s3: {listen_addr: ":8090"}', /s3\.listen_addr[^]*:8091/],
    ["s3: {domains: [Wrong_Name]}", /Wrong_Name[^]*host name/],
    ["s3: {root_bucket: No}", /root_bucket/],
    ["s3: {region: Wrong Region}", /region/],
    ["s3: {tls: {cert_file: a.pem}}", /key_file/],
    ["s3: {max_connections: 0}", /max_connections/],
    ['s3: {webhooks: [{name: a, url: "ftp://x"}]}', /http or https/],
    ['s3: {webhooks: [{name: a, url: "http://x"}, {name: a, url: "http://y"}]}', /two webhooks/],
    ["s3: {listen_address: x}", /listen_addr/],
  ])("with %s is refused in a sentence", async (s3, sentence) => {
    expect(await problems(s3)).toMatch(sentence);
  });
});
