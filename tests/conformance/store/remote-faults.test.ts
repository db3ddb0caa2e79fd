import { randomBytes } from "node:crypto";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../src/core/context.ts";
import { GfsError } from "../../../src/core/errors.ts";
import { systemClock } from "../../../src/core/ports/clock.ts";
import { noMetrics } from "../../../src/core/ports/metrics.ts";
import { seededRandom } from "../../../src/core/ports/random.ts";
import { createAzureStore } from "../../../src/stores/drivers/azure/index.ts";
import { createS3Store } from "../../../src/stores/drivers/s3/index.ts";
import { chaosLayer, stackLayers, type Store, type WriteConditions } from "../../../src/stores/index.ts";
import { startAzurite } from "../../servers/azurite.ts";
import { type CuttingProxy, startCuttingProxy } from "../../servers/cutting-proxy.ts";
import { createBucket, startRadosgw } from "../../servers/radosgw.ts";
import { part } from "./access.ts";
import { describeStore, readObject } from "./suite.ts";

const [s3Server, azureServer] = await Promise.all([startRadosgw(), startAzurite()]);
const ctx = backgroundCtx();
const MIB = 1024 ** 2;
const ROUNDS = process.env["GLOBALFS_LONG"] === "1" ? 400 : 40;
/** Waits for nothing, so that sending again is quick. */
const impatientClock = { ...systemClock, sleep: () => Promise.resolve() };

interface Remote {
  readonly endpoint: string;
  open(endpoint: string): Promise<Store>;
  remove(): Promise<void>;
}

async function s3Remote(): Promise<Remote> {
  if (s3Server === undefined) throw new Error("there is no S3 server");
  const { accessKeyId, secretAccessKey } = s3Server;
  const bucket = await createBucket(s3Server);
  const config = { bucket: bucket.name, credentials: { accessKeyId, secretAccessKey }, partSizeBytes: 5 * 1024 * 1024 };
  return {
    endpoint: s3Server.endpoint,
    open: async (endpoint) => createS3Store({ ...config, endpoint }, { clock: impatientClock }),
    remove: () => bucket.remove(),
  };
}

async function azureRemote(): Promise<Remote> {
  if (azureServer === undefined) throw new Error("there is no Azurite");
  const { account, accountKey, endpoint } = azureServer;
  const name = `test-${randomBytes(8).toString("hex")}`;
  const container = new ContainerClient(`${endpoint}/${name}`, new StorageSharedKeyCredential(account, accountKey));
  await container.create();
  const config = { container: name, account, accountKey, partSizeBytes: 5 * 1024 * 1024 };
  return {
    endpoint,
    open: (at) =>
      createAzureStore(
        { ...config, endpoint: new URL(new URL(endpoint).pathname, at).href },
        { clock: impatientClock },
      ),
    remove: async () => void (await container.delete()),
  };
}

async function write(store: Store, key: string, body: Buffer, conditions: WriteConditions) {
  const staged = await store.stage(ctx, key, { sizeBytes: body.length });
  await staged.write(body);
  await staged.seal();
  return staged.commit(ctx, conditions);
}

async function overBrokenLine(
  remote: Remote,
  chance: number,
  work: (broken: Store, sound: Store, proxy: CuttingProxy) => Promise<void>,
): Promise<void> {
  const proxy = await startCuttingProxy(remote.endpoint, chance, seededRandom(7));
  const [broken, sound] = await Promise.all([remote.open(proxy.endpoint), remote.open(remote.endpoint)]);
  try {
    await work(broken, sound, proxy);
  } finally {
    await Promise.all([broken.close(), sound.close()]);
    await proxy.close();
    await remote.remove();
  }
}

for (const [name, server, open] of [
  ["s3", s3Server, s3Remote],
  ["azure", azureServer, azureRemote],
] as const) {
  describe.skipIf(server === undefined)(`over a line that breaks, ${name}`, () => {
    it("creates each object once, and knows its own after a lost answer", async () => {
      await overBrokenLine(await open(), 0.12, async (broken, sound, proxy) => {
        let failed = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const body = Buffer.from(`${round} ${"x".repeat(round * 10)}`);
          const outcome = await write(broken, `k${round}`, body, { ifNoneMatch: "*" }).then(
            (info) => info,
            (error: { code?: string }) => error.code,
          );
          // Out of tries is honest; that someone else was first would be a lie.
          if (typeof outcome !== "object") {
            expect(["Unavailable", "Timeout"]).toContain(outcome);
            failed += 1;
          } else {
            expect((await readObject(sound, `k${round}`)).equals(body)).toBe(true);
            expect((await sound.head(ctx, `k${round}`)).etag).toBe(outcome.etag);
          }
        }
        expect(proxy.cuts.requests).toBeGreaterThan(0);
        expect(proxy.cuts.answers).toBeGreaterThan(0);
        expect(failed).toBeLessThan(ROUNDS / 4);
      });
    }, 60_000);

    it("takes parts that can be read once as long as the line holds, and else says what broke", async () => {
      await overBrokenLine(await open(), 0.004, async (broken, sound) => {
        const upload = await sound.createMultipart(ctx, "parts", {});
        const outcomes = new Set<string>();
        // Of the second size it is too long to be held in memory.
        for (let number = 1; number <= ROUNDS / 2; number++) {
          const bytes = Buffer.alloc(number % 4 === 0 ? 9 * MIB : 5 * MIB, number);
          let opened = 0;
          const body = {
            sizeBytes: bytes.length,
            open() {
              opened += 1;
              if (opened > 1) throw new GfsError("IncompleteBody", "The body can be read once.");
              return part(bytes).open();
            },
          };
          outcomes.add(
            await broken.uploadPart(ctx, upload, number, body).then(
              () => "done",
              (error: { code: string }) => error.code,
            ),
          );
        }
        expect(outcomes).toContain("done");
        for (const outcome of outcomes) expect(["done", "Unavailable", "Timeout"]).toContain(outcome);
        await sound.abortMultipart(ctx, upload);
      });
    }, 60_000);

    it("never takes someone else's object for its own", async () => {
      await overBrokenLine(await open(), 0.12, async (broken, sound) => {
        for (let round = 0; round < ROUNDS / 2; round++) {
          await write(sound, `k${round}`, Buffer.from("theirs"), { ifNoneMatch: "*" });
          await expect(write(broken, `k${round}`, Buffer.from("ours"), { ifNoneMatch: "*" })).rejects.toMatchObject({
            code: expect.stringMatching(/^(?:PreconditionFailed|Unavailable|Timeout)$/),
          });
          expect((await readObject(sound, `k${round}`)).toString()).toBe("theirs");
        }
      });
    }, 60_000);

    it("brings up objects in parts whole, and leaves nothing of those given up", async () => {
      await overBrokenLine(await open(), 0.004, async (broken, sound, proxy) => {
        let whole = 0;
        for (let round = 0; round < 3; round++) {
          const body = randomBytes(11 * 1024 * 1024);
          const staged = await broken.stage(ctx, `large${round}`);
          try {
            await staged.write(body);
            await staged.seal();
            await staged.commit(ctx);
            expect((await readObject(sound, `large${round}`)).equals(body)).toBe(true);
            whole += 1;
          } catch (error) {
            expect((error as { code?: string }).code).toMatch(/^(?:Unavailable|Timeout)$/);
            await staged
              .abort()
              .catch((late: { code?: string }) => expect(late.code).toMatch(/^(?:Unavailable|Timeout)$/));
          }
        }
        expect(proxy.cuts.requests + proxy.cuts.answers).toBeGreaterThan(0);
        expect(whole).toBeGreaterThan(1);
      });
    }, 60_000);
  });

  describe.skipIf(server === undefined)("behind all layers, with reads that fail", () => {
    describeStore(
      name,
      async () => {
        const remote = await open();
        const driver = await remote.open(remote.endpoint);
        const { store } = stackLayers(
          driver,
          {
            site: "layered",
            retry: { maxAttempts: 40, initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 },
            breaker: { threshold: 40, cooldownMs: 10 },
            timeout: { requestMs: 20_000, idleMs: 20_000 },
            verifyMaxBytes: 2 ** 30,
          },
          {
            clock: systemClock,
            random: seededRandom(1),
            metrics: noMetrics,
            chaos: chaosLayer({
              random: seededRandom(2),
              errorBefore: 0.2,
              errorAfter: 0.2,
              only: ["head", "get", "list"],
            }),
          },
        );
        return {
          store,
          async close() {
            await driver.close();
            await remote.remove();
          },
        };
      },
      {
        modelRuns: 5,
        except: {
          "may be left out": "radosgw completes an upload only with every part that arrived",
          "stay when completing them is refused": "radosgw completes an upload whatever conditions it is given",
        },
      },
    );
  });
}
