import { describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import {
  assertAccessChosen,
  createEndpointGuard,
  createKeyring,
  digestOf,
  generateApiKey,
  hashApiKey,
  isLoopbackHost,
  parseListenAddress,
} from "./index.ts";

describe("API keys", () => {
  it("are known by their hash only", () => {
    const key = generateApiKey();
    const keyring = createKeyring([
      { name: "one", hash: hashApiKey("secret") },
      { name: "two", hash: hashApiKey(key) },
    ]);
    const find = (token: string): string | undefined => keyring.find(digestOf(token))?.user;
    expect(find("secret")).toBe("one");
    expect(find(key)).toBe("two");
    for (const wrong of ["", "Secret", "secret ", hashApiKey("secret"), `${key}x`]) expect(find(wrong)).toBeUndefined();
    expect(createKeyring([]).isEmpty).toBe(true);
    expect(() => createKeyring([{ name: "bad", hash: "secret" }])).toThrow(/key hash/);
  });
});

describe("listening", () => {
  it.each([
    [":8090", false, "127.0.0.1", 8090],
    [":8090", true, "::", 8090],
    ["0.0.0.0:1", true, "0.0.0.0", 1],
    ["[::1]:443", false, "::1", 443],
    ["localhost:0", false, "localhost", 0],
  ])("%s with keys %s", (text, hasKeys, host, port) => {
    expect(parseListenAddress(text, hasKeys)).toEqual({ host, port });
  });

  it.each(["8090", "host", ":99999", "a:b:1", "::1:80", ""])("refuses %j", (text) => {
    expect(() => parseListenAddress(text, false)).toThrow(/no address/);
  });

  it("needs a key, or the word that this machine is open; beyond it a key", () => {
    const near = { host: "127.8.8.8", port: 1 };
    const far = { host: "0.0.0.0", port: 1 };
    expect(() => assertAccessChosen(near, { hasKeys: false, open: false })).toThrow(/GLOBALFS_API_KEY.*--open/);
    expect(() => assertAccessChosen(far, { hasKeys: false, open: false })).toThrow(/GLOBALFS_API_KEY/);
    for (const host of ["0.0.0.0", "::", "files.example.org"])
      expect(() => assertAccessChosen({ host, port: 1 }, { hasKeys: false, open: true })).toThrow(/for 127\.0\.0\.1/);
    expect(() => assertAccessChosen(near, { hasKeys: true, open: true })).toThrow(/take out one/);
    const token = { hasKeys: false, hasToken: true, open: false };
    for (const address of [near, far])
      expect(() => assertAccessChosen(address, token)).toThrow(/is the token of a key .*globalfs key generate/);
    assertAccessChosen(near, { ...token, open: true });
    assertAccessChosen(near, { ...token, hasKeys: true });
    assertAccessChosen(near, { hasKeys: false, open: true });
    assertAccessChosen(near, { hasKeys: true, open: false });
    assertAccessChosen(far, { hasKeys: true, open: false });
    expect(["localhost", "127.0.0.1", "[::1]", "::ffff:127.0.0.1"].every(isLoopbackHost)).toBe(true);
    expect(["127.0.0.1.example.org", "10.0.0.1", "example.org", "::"].some(isLoopbackHost)).toBe(false);
  });
});

describe("endpoints of sites that are added at run time", () => {
  const guard = createEndpointGuard({
    allowedEndpoints: ["minio.example.org:9000", "*.lab.example.org", "127.0.0.1:*"],
    allowedPaths: ["/srv/data"],
  });

  it.each([
    "https://s3.eu-west-1.amazonaws.com",
    "https://s3.amazonaws.com",
    "https://s3-us-west-2.amazonaws.com",
    "https://bucket.s3.eu-central-1.amazonaws.com",
    "https://s3.dualstack.us-east-1.amazonaws.com",
    "https://s3-fips.us-east-1.amazonaws.com",
    "https://s3.cn-north-1.amazonaws.com.cn",
    "https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com",
    "https://storage.googleapis.com",
    "https://acct.blob.core.windows.net",
    "http://minio.example.org:9000",
    "https://a.b.lab.example.org",
    "http://127.0.0.1:7480",
    "http://2130706433:7480",
  ])("allows %s", (endpoint) => {
    guard.checkUrl(endpoint);
  });

  it.each([
    "http://s3.amazonaws.com",
    "https://amazonaws.com.evil.example",
    "https://evilamazonaws.com",
    "https://ec2-198-51-100-1.compute-1.amazonaws.com",
    "https://internal-intranet-1.us-east-1.elb.amazonaws.com",
    "https://abc.execute-api.us-east-1.amazonaws.com",
    "https://s3.us-east-1.amazonaws.com:8443",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:169.254.169.254]",
    "http://10.0.0.1",
    "http://localhost:9000",
    "http://minio.example.org:9001",
    "https://lab.example.org",
    "https://user:pass@s3.amazonaws.com",
    "ftp://s3.amazonaws.com",
    "gopher://x",
    "nonsense",
  ])("refuses %s", (endpoint) => {
    expect(() => guard.checkUrl(endpoint)).toThrow(GfsError);
  });

  it("keeps directories below what was allowed", async () => {
    expect(await guard.checkDirectory("/srv/data/site")).toBe("/srv/data/site");
    expect(await guard.checkDirectory("/srv/data")).toBe("/srv/data");
    for (const bad of ["/srv/database", "/srv/data/../secret", "/", "srv/data", "/etc"])
      await expect(guard.checkDirectory(bad)).rejects.toThrow(/allowed_paths/);
  });
});
