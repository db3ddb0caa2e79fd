import { afterEach, describe, expect, it, vi } from "vitest";
import { resolveEndpoint } from "./config.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("where requests to a bucket go", () => {
  it.each(["localhost:18443/", "us-east-1.evil.example#", "US", "a b", "", "x@y", "a/b", "a".repeat(65)])(
    "is not up to a region %j, wherever that comes from",
    (region) => {
      expect(() => resolveEndpoint({ bucket: "bucket", region }, region)).toThrow(/not the name of a region/);
      vi.stubEnv("AWS_REGION", region);
      expect(() => resolveEndpoint({ bucket: "bucket" })).toThrow(/not the name of a region/);
    },
  );

  it.each(["evil.example/", "a:b", "a_b", "a..b", "-a", "a-", "a.", "a%2f"])(
    "is not up to a bucket %j in the host name",
    (bucket) => {
      expect(() => resolveEndpoint({ bucket, pathStyle: "virtual" }, "us-east-1")).toThrow(
        /not the name of a bucket|cannot be part of a host name/,
      );
    },
  );

  it("may have a tenant's bucket in the path, as Ceph names it", () => {
    const { origin, bucketPath } = resolveEndpoint(
      { bucket: "tenant:bucket_1", endpoint: "https://s3.example.org" },
      "us-east-1",
    );
    expect([origin, bucketPath]).toEqual(["https://s3.example.org", "/tenant:bucket_1"]);
  });

  it.each([
    "https://user@s3.example.org",
    "https://:pw@s3.example.org",
    "https://s3.example.org?x",
    "https://s3.example.org#x",
    "ftp://x",
  ])("is not an endpoint %s", (endpoint) => {
    expect(() => resolveEndpoint({ bucket: "bucket", endpoint }, "us-east-1")).toThrow(/endpoint/);
  });
});
