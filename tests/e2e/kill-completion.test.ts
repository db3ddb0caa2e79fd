import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/core/ports/clock.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { freePort } from "../servers/shared-server.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";
import { createKey } from "./support/s3-endpoint.ts";

/** kill -9 in the middle of CompleteMultipartUpload; then the key is written or deleted; then the leader takes up what the dead process has left. */

const SEED = Number(process.env["GLOBALFS_KILL_SEED"] ?? Math.floor(Math.random() * 1e6));
const ROUNDS = 5;
const KEYS_A_ROUND = 12;
const LEADER_TURN_MS = 4_000;
/** A mark that is older is that of a dead process. The last daemon is started by a clock that is so far ahead, and nobody waits. */
const GRACE_MS = 61_000;
const CLOCK_AHEAD = `const { now } = Date; Date.now = () => now() + ${GRACE_MS};`;
const Bucket = "killed";

test(
  "no newer PUT is lost and no DELETE undone by a completion that kill -9 interrupted",
  { timeout: 180_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "globalfs-kill-completion-"));
    const random = seededRandom(SEED);
    const port = await freePort();
    const config = await writeConfiguration(directory, [fileSite("onprem", "primary"), fileSite("cloud", "burst")], {
      s3: { listen_addr: `127.0.0.1:${port}` },
    });
    let daemon: ReadyDaemon | undefined;
    const start = async (env: Readonly<Record<string, string>> = {}): Promise<ReadyDaemon> => {
      daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config], env });
      return daemon;
    };
    onTestFinished(async () => {
      await daemon?.stop("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    });
    const { accessKeyId, secretAccessKey } = await createKey((await start()).url, "tester");
    const connect = (): S3Client =>
      new S3Client({
        endpoint: `http://127.0.0.1:${port}`,
        region: "us-east-1",
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId, secretAccessKey },
      });
    const textOf = async (sdk: S3Client, Key: string): Promise<string | undefined> => {
      try {
        return await (await sdk.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();
      } catch (error) {
        if ((error as { name: string }).name !== "NoSuchKey") throw error;
        return undefined;
      }
    };
    let sdk = connect();
    await sdk.send(new CreateBucketCommand({ Bucket }));
    const expected = new Map<string, string | undefined>();
    let interrupted = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const keys = Array.from({ length: KEYS_A_ROUND }, (_, index) => `${round}/${index}`);
      const completions = await Promise.all(
        keys.map(async (Key, index) => {
          if (index % 2 === 0) await sdk.send(new PutObjectCommand({ Bucket, Key, Body: "old" }));
          const { UploadId } = await sdk.send(new CreateMultipartUploadCommand({ Bucket, Key }));
          const part = { Bucket, Key, UploadId, PartNumber: 1 };
          const { ETag } = await sdk.send(new UploadPartCommand({ ...part, Body: `uploaded ${Key}` }));
          const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
          return new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload });
        }),
      );
      // It dies when so many have been answered; the others are on their way.
      let awaited = Math.ceil(random.fraction() * (KEYS_A_ROUND / 2));
      let enough!: () => void;
      const answered = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const answers = Promise.allSettled(
        completions.map(async (command) => {
          await sdk.send(command);
          awaited -= 1;
          if (awaited === 0) enough();
        }),
      );
      await answered;
      await daemon?.stop("SIGKILL");
      interrupted += (await answers).filter(({ status }) => status === "rejected").length;
      sdk.destroy();
      sdk = connect();
      await start();
      for (const [index, Key] of keys.entries()) {
        if (random.fraction() < 0.5) await textOf(sdk, Key);
        if (index % 3 === 0) {
          await sdk.send(new PutObjectCommand({ Bucket, Key, Body: `newer ${Key}` }));
          expected.set(Key, `newer ${Key}`);
        } else {
          await sdk.send(new DeleteObjectCommand({ Bucket, Key }));
          expected.set(Key, undefined);
        }
      }
    }
    await daemon?.stop();
    await start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(CLOCK_AHEAD)}` });
    await systemClock.sleep(LEADER_TURN_MS);
    for (const [key, body] of expected) expect([key, await textOf(sdk, key)], `seed ${SEED}`).toEqual([key, body]);
    console.info(`${interrupted} completions were not answered (seed ${SEED})`);
    expect(interrupted).toBeGreaterThan(0);
    sdk.destroy();
  },
);
