import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMissing, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** Command-line clients of other people, as their distribution ships them, against the S3 endpoint. */

let s3: S3Endpoint;
const LARGE = randomBytes(17 * 1024 ** 2 + 1);
const UNICODE = "Grüße/日本語 und mehr/ключ 😀.txt";
const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

beforeAll(async () => {
  s3 = await startS3Endpoint("clients");
  await writeFile(join(s3.directory, "large.bin"), LARGE);
  await writeFile(join(s3.directory, "empty"), "");
  await writeFile(join(s3.directory, "small.txt"), "small enough");
});
afterAll(async () => await s3?.stop());

const local = async (name: string): Promise<Buffer> => await readFile(join(s3.directory, name));

describe.skipIf(await isMissing("aws", "awscli"))("the AWS CLI", () => {
  const aws = async (...words: string[]): Promise<string> => await s3.out("aws", ["--endpoint-url", s3.url, ...words]);
  const json = async (...words: string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await aws("--output", "json", ...words)) || "{}") as Record<string, unknown>;

  test("copies up and down in parts, lists, moves, syncs and removes", async () => {
    await aws("s3", "mb", "s3://aws");
    await aws("s3", "cp", "large.bin", "s3://aws/dir/large.bin");
    await aws("s3", "cp", "empty", "s3://aws/empty");
    await aws("s3", "cp", "small.txt", `s3://aws/${UNICODE}`);
    await aws("s3", "cp", "s3://aws/dir/large.bin", "again.bin");
    expect((await local("again.bin")).equals(LARGE)).toBe(true);
    const listed = await aws("s3", "ls", "--recursive", "s3://aws");
    expect(listed.split("\n").map((line) => line.slice(31))).toEqual([UNICODE, "dir/large.bin", "empty", ""]);
    await aws("s3", "mv", `s3://aws/${UNICODE}`, "s3://aws/moved ä.txt");
    await aws("s3", "sync", "s3://aws", "synced");
    expect((await local("synced/moved ä.txt")).toString()).toBe("small enough");
    expect((await local("synced/empty")).length).toBe(0);
    await aws("s3", "sync", "--delete", "synced/dir", "s3://aws");
    expect((await aws("s3", "ls", "--recursive", "s3://aws")).trim()).toMatch(/ large\.bin$/);
    await aws("s3", "rb", "--force", "s3://aws");
    expect(await aws("s3", "ls")).not.toMatch(/ aws$/m);
  });

  test("sees metadata, ranges, versions and the ETags that it expects", async () => {
    await aws("s3api", "create-bucket", "--bucket", "awsapi");
    const put = await json(
      "s3api",
      "put-object",
      "--bucket",
      "awsapi",
      "--key",
      "k",
      "--body",
      "small.txt",
      "--metadata",
      "colour=blue",
      "--content-type",
      "text/x-own",
    );
    expect(put["ETag"]).toBe(`"${md5(Buffer.from("small enough"))}"`);
    expect(await json("s3api", "head-object", "--bucket", "awsapi", "--key", "k")).toMatchObject({
      ContentLength: 12,
      ContentType: "text/x-own",
      Metadata: { colour: "blue" },
    });
    await aws("s3api", "get-object", "--bucket", "awsapi", "--key", "k", "--range", "bytes=0-4", "range.txt");
    expect((await local("range.txt")).toString()).toBe("small");
    await aws("s3api", "put-bucket-versioning", "--bucket", "awsapi", "--versioning-configuration", "Status=Enabled");
    await aws("s3", "cp", "empty", "s3://awsapi/k");
    await aws("s3", "rm", "s3://awsapi/k");
    const { Versions: versions, DeleteMarkers: markers } = (await json(
      "s3api",
      "list-object-versions",
      "--bucket",
      "awsapi",
    )) as { Versions: { VersionId: string; Size: number }[]; DeleteMarkers: { IsLatest: boolean }[] };
    expect(versions.map(({ Size, VersionId }) => [Size, VersionId === "null"])).toEqual([
      [0, false],
      [12, true],
    ]);
    expect(markers).toMatchObject([{ IsLatest: true }]);
    await aws("s3api", "get-object", "--bucket", "awsapi", "--key", "k", "--version-id", "null", "old.txt");
    expect((await local("old.txt")).toString()).toBe("small enough");
  });

  test("says what is wrong in words", async () => {
    const none = await s3.run("aws", ["--endpoint-url", s3.url, "s3", "ls", "s3://not-there"]);
    expect([none.exit === 0, none.err]).toEqual([false, expect.stringContaining("NoSuchBucket")]);
    const wrong = await s3.run("aws", ["--endpoint-url", s3.url, "s3", "ls"], {
      env: { AWS_SECRET_ACCESS_KEY: "wrong" },
    });
    expect([wrong.exit === 0, wrong.err]).toEqual([false, expect.stringContaining("SignatureDoesNotMatch")]);
  });
});

describe.skipIf(await isMissing("s3cmd"))("s3cmd", () => {
  const s3cmd = async (...words: string[]): Promise<string> =>
    await s3.out("s3cmd", [
      "--no-ssl",
      `--host=127.0.0.1:${s3.port}`,
      `--host-bucket=127.0.0.1:${s3.port}`,
      "--no-progress",
      `--access_key=${s3.accessKeyId}`,
      `--secret_key=${s3.secretAccessKey}`,
      ...words,
    ]);

  test("puts in parts, gets, lists, copies, signs addresses and removes", async () => {
    await s3cmd("mb", "s3://s3cmd");
    await s3cmd("put", "--multipart-chunk-size-mb=5", "large.bin", "s3://s3cmd/large.bin");
    await s3cmd("put", "empty", "s3://s3cmd/empty");
    await s3cmd("put", "small.txt", `s3://s3cmd/${UNICODE}`);
    await s3cmd("get", "--force", "s3://s3cmd/large.bin", "s3cmd.bin");
    expect((await local("s3cmd.bin")).equals(LARGE)).toBe(true);
    await s3cmd("get", "--force", `s3://s3cmd/${UNICODE}`, "s3cmd.txt");
    expect((await local("s3cmd.txt")).toString()).toBe("small enough");
    await s3cmd("cp", "s3://s3cmd/empty", "s3://s3cmd/copy of empty");
    const listed = await s3cmd("ls", "--recursive", "s3://s3cmd");
    expect(listed.trim().split("\n")).toHaveLength(4);
    const info = await s3cmd("info", "s3://s3cmd/empty");
    expect(info).toMatch(/File size: +0/);
    const address = (await s3cmd("signurl", "s3://s3cmd/large.bin", "+60")).trim();
    expect(address).toContain("s3cmd");
    await s3cmd("del", "--recursive", "--force", "s3://s3cmd");
    await s3cmd("rb", "s3://s3cmd");
  });
});

describe.skipIf(await isMissing("s3", "libs3-2"))("libs3", () => {
  test("signs with version 2 of the signature, and is told which one is wanted", async () => {
    const { out, err } = await s3.run("s3", ["-u", "create", "libs3"], {
      env: {
        S3_HOSTNAME: `127.0.0.1:${s3.port}`,
        S3_ACCESS_KEY_ID: s3.accessKeyId,
        S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
      },
    });
    expect(`${out}${err}`).toContain("Signature Version 4");
  });
});
