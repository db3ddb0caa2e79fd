import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingServer } from "../servers/shared-server.ts";
import { runProgram } from "./support/command.ts";
import { isMissing, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** Command-line clients of other people, as their distribution ships them, against the S3 endpoint. */

let s3: S3Endpoint;
const LARGE = randomBytes(17 * 1024 ** 2 + 1);
const UNICODE = "Grüße/日本語 und mehr/ключ 😀.txt";
const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

beforeAll(async () => {
  s3 = await startS3Endpoint("clients", { signature_v2: true });
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

  test("presigns addresses that are fetched without a key", async () => {
    await aws("s3", "mb", "s3://presigned");
    await aws("s3", "cp", "small.txt", `s3://presigned/${UNICODE}`);
    const address = (await aws("s3", "presign", `s3://presigned/${UNICODE}`, "--expires-in", "60")).trim();
    expect(await (await fetch(address)).text()).toBe("small enough");
    await aws("s3", "rb", "--force", "s3://presigned");
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
    expect(address).toContain("AWSAccessKeyId=");
    const fetched = await fetch(address.replace(/^https:/, "http:"));
    expect(Buffer.from(await fetched.arrayBuffer()).equals(LARGE)).toBe(true);
    await s3cmd("del", "--recursive", "--force", "s3://s3cmd");
    await s3cmd("rb", "s3://s3cmd");
  });
});

/** With the older signature, and with what it does by itself. Versions about 1.26 sign sub-resources twice then, which no server takes. */
const BOTO3 = `
import boto3, json, sys, urllib.request
from botocore.config import Config
url, key = sys.argv[1:]
def client(**more):
    return boto3.client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}, **more))
old = client(signature_version="s3")
old.create_bucket(Bucket="boto")
with open("large.bin", "rb") as large:
    old.put_object(Bucket="boto", Key=key, Body=large, Metadata={"colour": "blue"}, ACL="private", Tagging="a=b")
old.download_file("boto", key, "boto.bin")
def fetch(address, **more):
    with urllib.request.urlopen(urllib.request.Request(address, **more)) as answer:
        return len(answer.read()), answer.headers.get("content-type")
presigned = old.generate_presigned_url("get_object", {"Bucket": "boto", "Key": key, "ResponseContentType": "text/x y"})
own = client().generate_presigned_url("get_object", {"Bucket": "boto", "Key": key})
put = old.generate_presigned_url("put_object", {"Bucket": "boto", "Key": "put", "Metadata": {"a": "b c"}, "ContentType": "text/x"})
fetch(put, method="PUT", data=b"four", headers={"content-type": "text/x"})
head = old.head_object(Bucket="boto", Key="put")
print(json.dumps({
    "presigned": presigned.split("?")[1].split("=")[0], "fetched": fetch(presigned), "own": fetch(own)[0],
    "metadata": [old.head_object(Bucket="boto", Key=key)["Metadata"], head["Metadata"], head["ContentType"]],
    "keys": [entry["Key"] for entry in old.list_objects(Bucket="boto")["Contents"]],
    "tags": client().get_object_tagging(Bucket="boto", Key=key)["TagSet"],
}))
for name in [key, "put"]:
    old.delete_object(Bucket="boto", Key=name)
old.delete_bucket(Bucket="boto")
`;

const PYTHON = "/usr/bin/python3";
const hasBoto3 = existsSync(PYTHON) && (await runProgram(PYTHON, ["-c", "import boto3"])).exit === 0;
if (!hasBoto3) missingServer("there is no boto3 (apt-get install python3-boto3)");

describe.skipIf(!hasBoto3)("boto3", () => {
  test("signs with Signature Version 2 where it is told to, and presigns with what it likes", async () => {
    const said = JSON.parse(await s3.out(PYTHON, ["-c", BOTO3, s3.url, UNICODE])) as Record<string, unknown>;
    expect(said).toEqual({
      presigned: "response-content-type",
      fetched: [LARGE.length, "text/x y"],
      own: LARGE.length,
      metadata: [{ colour: "blue" }, { a: "b c" }, "text/x"],
      keys: [UNICODE, "put"],
      tags: [{ Key: "a", Value: "b" }],
    });
    expect((await local("boto.bin")).equals(LARGE)).toBe(true);
  });
});

describe.skipIf(await isMissing("s3", "libs3-2"))("libs3", () => {
  // It writes a space as a plus, which in a path is a plus.
  const KEY = UNICODE.replaceAll(" ", "");
  const libs3 = async (...words: string[]): Promise<string> =>
    await s3.out("s3", ["-u", ...words], {
      env: {
        S3_HOSTNAME: `127.0.0.1:${s3.port}`,
        S3_ACCESS_KEY_ID: s3.accessKeyId,
        S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
      },
    });

  test("signs with Signature Version 2: puts in parts, gets, lists, copies, signs addresses and removes", async () => {
    await libs3("create", "libs3");
    expect(await libs3("list")).toMatch(/^libs3 /m);
    expect(await libs3("test", "libs3")).toMatch(/libs3/);
    await libs3("put", "libs3/large.bin", "filename=large.bin");
    await libs3("put", "libs3/empty", "filename=empty");
    await libs3(
      "put",
      `libs3/${KEY}`,
      "filename=small.txt",
      "contentType=text/x-own",
      `md5=${createHash("md5").update("small enough").digest("base64")}`,
      "x-amz-meta-colour=blue",
      "cannedAcl=private",
    );
    await libs3("get", "libs3/large.bin", "filename=libs3.bin");
    expect((await local("libs3.bin")).equals(LARGE)).toBe(true);
    await libs3("get", `libs3/${KEY}`, "filename=libs3.txt", "startByte=6");
    expect((await local("libs3.txt")).toString()).toBe("enough");
    expect(await libs3("head", `libs3/${KEY}`)).toMatch(/text\/x-own[^]*12[^]*colour: blue/);
    await libs3("copy", "libs3/empty", "libs3/copy");
    const listed = await libs3("list", "libs3");
    for (const name of [KEY, "copy", "empty", "large.bin"]) expect(listed).toContain(name);
    expect(await libs3("getacl", "libs3/empty")).toMatch(/FULL_CONTROL/);
    const address = (await libs3("gqs", `libs3/${KEY}`)).trim();
    expect(address).toContain("Signature=");
    expect(await (await fetch(address.replace(/^https:/, "http:"))).text()).toBe("small enough");
    for (const name of [KEY, "copy", "empty", "large.bin"]) await libs3("delete", `libs3/${name}`);
    await libs3("delete", "libs3");
  });
});
