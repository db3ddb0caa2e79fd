import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../../../core/errors.ts";
import { isBucketName, mayHoldKeys } from "../buckets/key-space.ts";
import { parseTarget } from "./target.ts";

const parse = (url: string, host = "localhost:8091", domains: readonly string[] = []) =>
  parseTarget({ method: "GET", url, host }, domains);

describe("an address", () => {
  it.each([
    ["/", "", ""],
    ["/bucket", "bucket", ""],
    ["/bucket/", "bucket", ""],
    ["/bucket/a/b", "bucket", "a/b"],
    ["/bucket//a", "bucket", "/a"],
    ["/bucket/a+b%20c%2Fd", "bucket", "a+b c/d"],
    ["/bucket/%25%32%46", "bucket", "%2F"],
    ["/bucket/../x", "bucket", "../x"],
    ["http://other:80/bucket/x", "bucket", "x"],
  ])("%s names bucket %j and key %j", (url, bucket, key) => {
    expect(parse(url)).toMatchObject({ bucket, key });
  });

  it("has parameters: a plus is a space, the first of a name counts, none is the empty text", () => {
    const { query } = parse("/b?prefix=a+b%2B&acl&prefix=other&x=1=2&&=y");
    expect(Object.fromEntries(query)).toEqual({ prefix: "a b+", acl: "", x: "1=2", "": "y" });
  });

  it("may name the bucket in its host", () => {
    const domains = ["s3.example.org"];
    expect(parse("/a/b", "photos.S3.example.org:8091", domains)).toMatchObject({ bucket: "photos", key: "a/b" });
    expect(parse("/a/b", "my.photos.s3.example.org", domains)).toMatchObject({ bucket: "my.photos" });
    expect(parse("/a/b", "s3.example.org", domains)).toMatchObject({ bucket: "a", key: "b" });
    expect(parse("/a/b", "evil-s3.example.org", domains)).toMatchObject({ bucket: "a", key: "b" });
    expect(parse("/a/b", "[::1]:8091", domains)).toMatchObject({ bucket: "a", key: "b" });
  });

  it("is understood or refused, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        try {
          expect(typeof parse(`/${text}`).key).toBe("string");
        } catch (error) {
          expect(isGfsError(error, "InvalidKey", "InvalidArgument")).toBe(true);
        }
      }),
    );
    expect(() => parse(`/b?${"a=1&".repeat(100)}`)).not.toThrow();
    expect(() => parse(`/b?${Array.from({ length: 100 }, (_, index) => `a${index}=1`).join("&")}`)).toThrow(/64/);
  });
});

describe("names", () => {
  it.each(["abc", "a.b-c", "1abc", "a".repeat(63), "1.2.3"])("%s may be a bucket's", (name) => {
    expect(isBucketName(name)).toBe(true);
  });

  it.each([
    "ab",
    "a".repeat(64),
    "Abc",
    "a_b",
    "-abc",
    "abc-",
    "a..b",
    "a.-b",
    "a-.b",
    "1.2.3.4",
    "xn--abc",
    "abc-s3alias",
    "abc--x-s3",
    "a/b",
    ".globalfs",
  ])("%s may not", (name) => {
    expect(isBucketName(name)).toBe(false);
  });

  it("that no key can begin with are known without asking", () => {
    for (const prefix of ["", "a", "a/", "a/b", "..", "a/..", "ü"]) expect(mayHoldKeys(prefix)).toBe(true);
    for (const prefix of ["/", "a//", "../", "a/./b", "a\n", "x".repeat(1_025)])
      expect(mayHoldKeys(prefix)).toBe(false);
  });
});
