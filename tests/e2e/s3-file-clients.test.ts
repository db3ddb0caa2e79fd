import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingServer } from "../servers/shared-server.ts";
import { cleanEnvironment } from "./support/daemon.ts";
import { isMissing, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** Clients that show objects as files, copy whole trees or keep backups. */

let s3: S3Endpoint;
const LARGE = randomBytes(12 * 1024 ** 2 + 5);

beforeAll(async () => {
  s3 = await startS3Endpoint("files");
  await mkdir(join(s3.directory, "tree/ä/日本"), { recursive: true });
  await writeFile(join(s3.directory, "tree/large.bin"), LARGE);
  await writeFile(join(s3.directory, "tree/empty"), "");
  await writeFile(join(s3.directory, "tree/ä/日本/ключ 😀.txt"), "deep");
});
afterAll(async () => await s3?.stop());

const mounts = existsSync("/dev/fuse") && !(await isMissing("fusermount3", "fuse3"));
if (!mounts) missingServer("there is no /dev/fuse, or no fusermount3, to mount with");

/** The program stays in the foreground, so that it ends with the test. */
async function mounted(
  program: string,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  work: (at: string) => Promise<void>,
): Promise<void> {
  const at = join(s3.directory, `mount-${program}`);
  await mkdir(at, { recursive: true });
  const own = (await stat(at)).dev;
  const child: ChildProcess = spawn(
    program,
    words.map((word) => (word === "MOUNTPOINT" ? at : word)),
    {
      env: cleanEnvironment({ ...s3.env, ...env }),
      cwd: s3.directory,
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece: Buffer) => (said += piece.toString()));
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    await until(`${program} has mounted`, async () => {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}:\n${said}`);
      return (await stat(at).catch(() => undefined))?.dev !== own;
    });
    await work(at);
  } finally {
    await s3.run("fusermount3", ["-u", at]);
    await gone;
  }
}

describe.skipIf(await isMissing("rclone"))("rclone", () => {
  const env = (): Record<string, string> => ({
    RCLONE_CONFIG: join(s3.directory, "rclone.conf"),
    RCLONE_CONFIG_GFS_TYPE: "s3",
    RCLONE_CONFIG_GFS_PROVIDER: "Other",
    RCLONE_CONFIG_GFS_ENDPOINT: s3.url,
    RCLONE_CONFIG_GFS_ACCESS_KEY_ID: s3.accessKeyId,
    RCLONE_CONFIG_GFS_SECRET_ACCESS_KEY: s3.secretAccessKey,
  });
  const rclone = async (...words: string[]): Promise<string> => await s3.out("rclone", words, { env: env() });

  test("syncs a tree, checks it, moves on the server, and syncs back what was deleted", async () => {
    await rclone("mkdir", "gfs:rclone");
    await rclone("sync", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "tree", "gfs:rclone/tree");
    await rclone("check", "tree", "gfs:rclone/tree");
    await rclone("check", "--download", "tree", "gfs:rclone/tree");
    await rclone("moveto", "gfs:rclone/tree/empty", "gfs:rclone/tree/empty 2");
    expect((await rclone("lsf", "-R", "gfs:rclone")).split("\n").filter(Boolean).toSorted()).toEqual(
      ["tree/", "tree/empty 2", "tree/large.bin", "tree/ä/", "tree/ä/日本/", "tree/ä/日本/ключ 😀.txt"].toSorted(),
    );
    await rclone("sync", "gfs:rclone/tree", "back");
    expect((await readFile(join(s3.directory, "back/large.bin"))).equals(LARGE)).toBe(true);
    await rclone("sync", "tree", "gfs:rclone/tree");
    await rclone("check", "tree", "gfs:rclone/tree");
    await rclone("purge", "gfs:rclone");
  });

  test.skipIf(!mounts)("mounts a bucket", async () => {
    await rclone("mkdir", "gfs:rmount");
    await rclone("copy", "tree", "gfs:rmount/tree");
    const words = ["mount", "gfs:rmount", "MOUNTPOINT", "--vfs-cache-mode", "writes", "--vfs-write-back", "0s"];
    await mounted("rclone", words, env(), async (at) => {
      expect((await readFile(join(at, "tree/large.bin"))).equals(LARGE)).toBe(true);
      await writeFile(join(at, "tree/new.txt"), "through the mount");
      await until("the file is an object", async () => {
        const { out } = await s3.run("rclone", ["cat", "gfs:rmount/tree/new.txt"], { env: env() });
        return out === "through the mount";
      });
      await unlink(join(at, "tree/new.txt"));
      expect((await readdir(join(at, "tree"))).toSorted()).toEqual(["empty", "large.bin", "ä"]);
    });
  });
});

describe.skipIf(await isMissing("restic"))("restic", () => {
  const restic = async (...words: string[]): Promise<string> =>
    await s3.out("restic", ["-q", ...words], {
      env: { RESTIC_REPOSITORY: `s3:${s3.url}/restic`, RESTIC_PASSWORD: "of the repository" },
    });

  test("makes a repository, backs up, checks all data, restores, forgets and prunes", async () => {
    await restic("init");
    await restic("backup", "tree");
    await writeFile(join(s3.directory, "tree/later"), "only in the second");
    await restic("backup", "tree");
    await rm(join(s3.directory, "tree/later"));
    await restic("check", "--read-data");
    await restic("restore", "latest", "--target", "restored");
    expect((await readFile(join(s3.directory, "restored/tree/large.bin"))).equals(LARGE)).toBe(true);
    expect(await readFile(join(s3.directory, "restored/tree/ä/日本/ключ 😀.txt"), "utf8")).toBe("deep");
    await restic("forget", "--keep-last", "1", "--prune");
    await restic("check", "--read-data");
    expect(JSON.parse(await restic("snapshots", "--json"))).toHaveLength(1);
  });
});

describe.skipIf(!mounts || (await isMissing("s3fs")))("s3fs", () => {
  test("mounts a bucket: what is written is an object, what is put is a file, and files can be renamed", async () => {
    const sdk = s3.sdk();
    await sdk.send(new CreateBucketCommand({ Bucket: "s3fs" }));
    await sdk.send(new PutObjectCommand({ Bucket: "s3fs", Key: "put/by-sdk", Body: "an object" }));
    await writeFile(join(s3.directory, "s3fs.password"), `${s3.accessKeyId}:${s3.secretAccessKey}`, { mode: 0o600 });
    const options = `url=${s3.url},use_path_request_style,passwd_file=s3fs.password,multipart_size=5`;
    await mounted("s3fs", ["s3fs", "MOUNTPOINT", "-f", "-o", options], {}, async (at) => {
      expect(await readFile(join(at, "put/by-sdk"), "utf8")).toBe("an object");
      await mkdir(join(at, "ä"));
      await writeFile(join(at, "ä/large"), LARGE);
      await rename(join(at, "ä/large"), join(at, "ä/renamed"));
      expect((await readFile(join(at, "ä/renamed"))).equals(LARGE)).toBe(true);
      expect(await readdir(join(at, "ä"))).toEqual(["renamed"]);
      const { ContentLength: sizeBytes, Body: body } = await sdk.send(
        new GetObjectCommand({ Bucket: "s3fs", Key: "ä/renamed" }),
      );
      expect([sizeBytes, Buffer.from((await body?.transformToByteArray()) ?? []).equals(LARGE)]).toEqual([
        LARGE.length,
        true,
      ]);
      await unlink(join(at, "ä/renamed"));
      expect(await readdir(join(at, "ä"))).toEqual([]);
    });
    sdk.destroy();
  });
});
