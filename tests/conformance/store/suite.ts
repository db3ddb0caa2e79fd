import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../src/core/context.ts";
import {
  compareKeys,
  type MultipartUpload,
  type ObjectInfo,
  type PartBody,
  type Store,
} from "../../../src/stores/index.ts";

/** The whole contract of `src/stores/store.ts`. A driver's test file opens a store and hands it over; its capabilities choose the cases. */

export interface OpenedStore {
  readonly store: Store;
  close(): Promise<void>;
}

export interface SuiteOptions {
  /** Puts layers around the driver. */
  readonly wrap?: (store: Store) => Store;
  /** How often the listing is held against a model; each run writes some dozen objects. */
  readonly modelRuns?: number;
  /** Cases that this site cannot pass for a reason that is the site's, by a part of their title, with the reason. */
  readonly except?: Readonly<Record<string, string>>;
}

const ctx = backgroundCtx({ requestId: "conformance" });

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function putObject(
  store: Store,
  key: string,
  body: Uint8Array | string,
  options: Parameters<Store["stage"]>[2] & { sha256?: string } = {},
): Promise<ObjectInfo> {
  const { sha256, ...stage } = options;
  const staged = await store.stage(ctx, key, stage);
  const bytes = Buffer.from(body as Uint8Array);
  const middle = Math.floor(bytes.length / 2);
  await staged.write(bytes.subarray(0, middle));
  await staged.write(bytes.subarray(middle));
  await staged.seal(sha256 === undefined ? {} : { sha256 });
  return await staged.commit(ctx);
}

export async function readObject(store: Store, key: string, options?: Parameters<Store["get"]>[2]): Promise<Buffer> {
  return await collect((await store.get(ctx, key, options)).stream);
}

function part(bytes: Buffer): PartBody {
  return {
    sizeBytes: bytes.length,
    async *open() {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    },
  };
}

export function describeStore(name: string, open: () => Promise<OpenedStore>, options: SuiteOptions = {}): void {
  describe(`the store ${name}`, () => {
    let opened: OpenedStore;
    let store: Store;
    let serial = 0;

    beforeAll(async () => {
      opened = await open();
      store = options.wrap?.(opened.store) ?? opened.store;
    });
    afterAll(async () => {
      await opened?.close();
    });

    /** Every case works below a prefix of its own, so that cases do not see each other's objects. */
    const fresh = (): string => `case${String(++serial).padStart(4, "0")}/`;
    const test = (title: string, work: () => Promise<void>, timeoutMs?: number): void => {
      const reason = Object.entries(options.except ?? {}).find(([part]) => title.includes(part))?.[1];
      if (reason !== undefined) it.skip(`${title} [not here: ${reason}]`, work);
      else it(title, work, timeoutMs);
    };

    describe("objects", () => {
      test("come back as they were written, with type, metadata and checksum", async () => {
        const key = `${fresh()}object`;
        const body = randomBytes(200_000);
        const sha256 = createHash("sha256").update(body).digest("hex");
        const written = await putObject(store, key, body, {
          contentType: "text/x-test; charset=utf-8",
          metadata: { colour: "blau & grün", "x-y": "1" },
          sha256,
        });
        const head = await store.head(ctx, key);
        expect(head.sizeBytes).toBe(200_000);
        expect(head.etag).toBe(written.etag);
        expect(Math.abs(head.modifiedMs - Date.now())).toBeLessThan(60_000);
        if (store.capabilities.userMetadata) {
          expect(head.contentType).toBe("text/x-test; charset=utf-8");
          expect(head.metadata).toMatchObject({ colour: "blau & grün", "x-y": "1" });
        }
        expect((await readObject(store, key)).equals(body)).toBe(true);
      });

      test("may be empty", async () => {
        const key = `${fresh()}empty`;
        await putObject(store, key, "", { sizeBytes: 0 });
        expect((await store.head(ctx, key)).sizeBytes).toBe(0);
        expect((await readObject(store, key)).length).toBe(0);
        await expect(store.get(ctx, key, { range: { start: 0 } })).rejects.toMatchObject({
          code: "RangeNotSatisfiable",
        });
      });

      test("take any key", async () => {
        const base = fresh();
        const keys = [
          "plain",
          "with space",
          "ünï/çødé/\u{1F600}",
          "percent%2Fand%",
          "plus+and&equals=?#",
          "quote\"and'",
          "back\\slash",
          "<xml>&amp;",
          "colon:star*pipe|",
          "a",
          "a/b",
          "a/b/c",
          "a-b",
          "~tilde",
          `${"x".repeat(200)}/${"y".repeat(250)}`,
          "é".repeat(110),
        ];
        for (const key of keys) await putObject(store, base + key, `body of ${key}`);
        for (const key of keys) expect((await readObject(store, base + key)).toString()).toBe(`body of ${key}`);
        const listed = await store.list(ctx, { prefix: base, limit: 1_000 });
        expect(listed.objects.map(({ key }) => key)).toEqual(keys.map((key) => base + key).sort(compareKeys));
      });

      test("take keys that a path could not name", async () => {
        const base = fresh();
        const keys = [
          "..",
          "../up",
          "a//b",
          "/lead",
          "trail/",
          "dir/./x",
          ".",
          "line\nbreak",
          "long/".concat("z".repeat(300)),
          ".globalfs/x",
          ".globalfs~oa",
        ];
        for (const key of keys) await putObject(store, base + key, key);
        for (const key of keys) expect((await readObject(store, base + key)).toString()).toBe(key);
        const listed = await store.list(ctx, { prefix: base, limit: 1_000 });
        expect(listed.objects.map(({ key }) => key)).toEqual(keys.map((key) => base + key).sort(compareKeys));
        for (const key of keys) await store.delete(ctx, base + key);
        expect((await store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
      });

      test("have keys of up to 1,024 bytes, and no others", async () => {
        const base = fresh();
        const longest = base + "k".repeat(1_024 - base.length);
        await putObject(store, longest, "x");
        expect((await readObject(store, longest)).toString()).toBe("x");
        await expect(store.head(ctx, `${longest}k`)).rejects.toMatchObject({ code: "KeyTooLong" });
        await expect(store.stage(ctx, "")).rejects.toMatchObject({ code: "InvalidKey" });
        await expect(store.get(ctx, "a\0b")).rejects.toMatchObject({ code: "InvalidKey" });
        await store.delete(ctx, longest);
      });

      test("that are missing are NotFound, and deleting them succeeds", async () => {
        const base = fresh();
        await expect(store.head(ctx, `${base}none`)).rejects.toMatchObject({ code: "NotFound" });
        await expect(store.get(ctx, `${base}none`)).rejects.toMatchObject({ code: "NotFound" });
        await expect(store.get(ctx, `${base}none`, { ifMatch: "x" })).rejects.toMatchObject({ code: "NotFound" });
        await store.delete(ctx, `${base}none`);
        await store
          .delete(ctx, `${base}none`, { ifMatch: "x" })
          .catch((error: { code?: string }) => expect(error.code).toBe("PreconditionFailed"));
        await putObject(store, `${base}file`, "x");
        await expect(store.head(ctx, `${base}file/below`)).rejects.toMatchObject({ code: "NotFound" });
      });

      test("that are replaced have another etag, and readers keep the bytes they began with", async () => {
        const key = `${fresh()}object`;
        const old = randomBytes(3_000_000);
        const first = await putObject(store, key, old);
        const body = await store.get(ctx, key);
        const iterator = body.stream[Symbol.asyncIterator]();
        const begun = await iterator.next();
        const second = await putObject(store, key, "new");
        expect(second.etag).not.toBe(first.etag);
        const chunks = [Buffer.from(begun.value as Uint8Array)];
        let broken = false;
        try {
          for (;;) {
            const next = await iterator.next();
            if (next.done === true) break;
            chunks.push(Buffer.from(next.value));
          }
        } catch {
          broken = true;
        }
        // Either all of the old bytes or an error; never bytes of both.
        if (!broken) expect(Buffer.concat(chunks).equals(old)).toBe(true);
        expect((await readObject(store, key)).toString()).toBe("new");
      });
    });

    describe("keys that are an object and a prefix at once", () => {
      test("keep both, in whichever order they come and go", async () => {
        const base = fresh();
        await putObject(store, `${base}a`, "object");
        await putObject(store, `${base}a/b`, "below");
        await putObject(store, `${base}a/b/c`, "deep");
        expect((await readObject(store, `${base}a`)).toString()).toBe("object");
        await putObject(store, `${base}a`, "object 2");
        expect((await readObject(store, `${base}a`)).toString()).toBe("object 2");
        await store.delete(ctx, `${base}a/b`);
        expect((await readObject(store, `${base}a/b/c`)).toString()).toBe("deep");
        await store.delete(ctx, `${base}a/b/c`);
        expect((await readObject(store, `${base}a`)).toString()).toBe("object 2");
        await putObject(store, `${base}a`, "object 3");
        await putObject(store, `${base}a/b`, "again");
        const listed = await store.list(ctx, { prefix: base, limit: 10 });
        expect(listed.objects.map(({ key }) => key)).toEqual([`${base}a`, `${base}a/b`]);
        expect((await readObject(store, `${base}a`)).toString()).toBe("object 3");
        await store.delete(ctx, `${base}a`);
        await expect(store.head(ctx, `${base}a`)).rejects.toMatchObject({ code: "NotFound" });
        expect((await readObject(store, `${base}a/b`)).toString()).toBe("again");
      });

      test("survive writers of all of them at the same time", async () => {
        const base = fresh();
        const keys = ["k", "k/k", "k/k/k"];
        for (let round = 0; round < 5; round++) {
          await Promise.all(keys.map(async (key) => await putObject(store, base + key, `${key} ${round}`)));
          for (const key of keys) expect((await readObject(store, base + key)).toString()).toBe(`${key} ${round}`);
          if (round % 2 === 1) await Promise.all(keys.map(async (key) => await store.delete(ctx, base + key)));
        }
      });
    });

    describe("reads", () => {
      const size = 300_000;
      const body = randomBytes(size);
      let key: string;
      beforeAll(async () => {
        key = `${fresh()}ranged`;
        await putObject(store, key, body);
      });

      it.each([
        [{ start: 0 }, 0, size],
        [{ start: 0, end: 1 }, 0, 1],
        [{ start: 100_000, end: 200_001 }, 100_000, 200_001],
        [{ start: size - 1 }, size - 1, size],
        [{ start: 5, end: size + 1_000 }, 5, size],
        [{ suffix: 10 }, size - 10, size],
        [{ suffix: size * 2 }, 0, size],
      ])("of the range %j give exactly those bytes", async (range, start, end) => {
        const opened = await store.get(ctx, key, { range });
        expect([opened.start, opened.end, opened.info.sizeBytes]).toEqual([start, end, size]);
        expect((await collect(opened.stream)).equals(body.subarray(start, end))).toBe(true);
      });

      it.each([[{ start: size }], [{ start: size + 5, end: size + 6 }], [{ suffix: 0 }], [{ start: 7, end: 7 }]])(
        "of the range %j are refused",
        async (range) => {
          await expect(store.get(ctx, key, { range })).rejects.toMatchObject({ code: "RangeNotSatisfiable" });
        },
      );

      test("can ask for the very object that was seen", async () => {
        const { etag } = await store.head(ctx, key);
        expect((await readObject(store, key, { ifMatch: etag, range: { start: 0, end: 4 } })).length).toBe(4);
        await expect(store.get(ctx, key, { ifMatch: "00000000000000000000000000000000" })).rejects.toMatchObject({
          code: "PreconditionFailed",
        });
      });

      test("can be given up at any point", async () => {
        const unread = await store.get(ctx, key);
        unread.cancel();
        const half = await store.get(ctx, key);
        for await (const chunk of half.stream) {
          expect(chunk.byteLength).toBeGreaterThan(0);
          break;
        }
        const controller = new AbortController();
        const aborted = await store.get({ ...ctx, signal: controller.signal }, key);
        const reading = (async () => {
          for await (const _ of aborted.stream) controller.abort();
        })();
        await reading.catch((error: { code?: string }) => expect(error.code).toBe("Canceled"));
        expect((await readObject(store, key)).equals(body)).toBe(true);
      });
    });

    describe("writes", () => {
      test("show nothing before they are committed, and nothing after they are aborted", async () => {
        const base = fresh();
        const staged = await store.stage(ctx, `${base}x`);
        await staged.write(Buffer.alloc(100_000));
        await staged.seal();
        await expect(store.head(ctx, `${base}x`)).rejects.toMatchObject({ code: "NotFound" });
        expect((await store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
        await staged.abort();
        await staged.abort();
        await expect(store.head(ctx, `${base}x`)).rejects.toMatchObject({ code: "NotFound" });
        const open = await store.stage(ctx, `${base}y`);
        await open.write(Buffer.from("half"));
        await open.abort();
        expect((await store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
      });

      test("keep the announced length", async () => {
        const base = fresh();
        const short = await store.stage(ctx, `${base}short`, { sizeBytes: 10 });
        await short.write(Buffer.alloc(4));
        await expect(short.seal()).rejects.toMatchObject({ code: "IncompleteBody" });
        await short.abort();
        const long = await store.stage(ctx, `${base}long`, { sizeBytes: 3 });
        await expect(
          (async () => {
            await long.write(Buffer.alloc(4));
            await long.seal();
          })(),
        ).rejects.toMatchObject({ code: "IncompleteBody" });
        await long.abort();
      });

      test("may reuse the chunk they handed over", async () => {
        const key = `${fresh()}reused`;
        const staged = await store.stage(ctx, key);
        const chunk = Buffer.alloc(50_000);
        const expected: Buffer[] = [];
        for (let index = 0; index < 60; index++) {
          chunk.fill(index);
          expected.push(Buffer.from(chunk));
          await staged.write(chunk);
        }
        await staged.seal();
        await staged.commit(ctx);
        expect((await readObject(store, key)).equals(Buffer.concat(expected))).toBe(true);
      });

      test("of large bodies arrive whole", async () => {
        const key = `${fresh()}large`;
        const hash = createHash("sha256");
        const staged = await store.stage(ctx, key);
        const chunk = randomBytes(1_000_003);
        for (let index = 0; index < 21; index++) {
          hash.update(chunk);
          await staged.write(chunk);
        }
        await staged.seal();
        const info = await staged.commit(ctx);
        expect(info.sizeBytes).toBe(21 * 1_000_003);
        const back = createHash("sha256");
        for await (const piece of (await store.get(ctx, key)).stream) back.update(piece);
        expect(back.digest("hex")).toBe(hash.digest("hex"));
        await store.delete(ctx, key);
      }, 60_000);

      test("hold their conditions, also when many race", async () => {
        if (!store.capabilities.conditionalWrites) return;
        const base = fresh();
        const stageOne = async (key: string, body: string) => {
          const staged = await store.stage(ctx, key);
          await staged.write(Buffer.from(body));
          await staged.seal();
          return staged;
        };
        const contenders = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => await stageOne(`${base}new`, `w${index}`)),
        );
        const outcomes = await Promise.allSettled(
          contenders.map(async (staged) => await staged.commit(ctx, { ifNoneMatch: "*" })),
        );
        expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === "rejected")
            expect(["PreconditionFailed", "Conflict"]).toContain((outcome.reason as { code: string }).code);
        await Promise.all(contenders.map(async (staged) => await staged.abort()));
        const { etag } = await store.head(ctx, `${base}new`);
        await expect(
          (await stageOne(`${base}new`, "b")).commit(ctx, { ifMatch: "0".repeat(32) }),
        ).rejects.toMatchObject({ code: "PreconditionFailed" });
        await expect((await stageOne(`${base}gone`, "b")).commit(ctx, { ifMatch: etag })).rejects.toMatchObject({
          code: "PreconditionFailed",
        });
        await expect(store.head(ctx, `${base}gone`)).rejects.toMatchObject({ code: "NotFound" });
        expect((await (await stageOne(`${base}new`, "b")).commit(ctx, { ifMatch: etag })).sizeBytes).toBe(1);
      });
    });

    describe("multipart uploads", () => {
      test("take parts in any order, in parallel and again, and show nothing before", async () => {
        const limits = store.capabilities.multipart;
        if (limits === undefined) return;
        const base = fresh();
        const partSize = Math.max(limits.minPartBytes, 150_000);
        const bodies = [randomBytes(partSize), randomBytes(partSize), randomBytes(777)];
        const upload = await store.createMultipart(ctx, `${base}mp`, {
          partSizeBytes: partSize,
          contentType: "x/y",
          metadata: { a: "b" },
        });
        await store.uploadPart(ctx, upload, 1, part(randomBytes(partSize)));
        const parts = await Promise.all(
          [2, 0, 1].map(async (index) => await store.uploadPart(ctx, upload, index + 1, part(bodies[index] as Buffer))),
        );
        parts.sort((one, other) => one.partNumber - other.partNumber);
        expect(
          (await store.listParts(ctx, upload)).map(({ partNumber, sizeBytes }) => [partNumber, sizeBytes]),
        ).toEqual(bodies.map((body, index) => [index + 1, body.length]));
        await expect(store.head(ctx, `${base}mp`)).rejects.toMatchObject({ code: "NotFound" });
        const info = await store.completeMultipart(ctx, upload, parts);
        expect(info.sizeBytes).toBe(2 * partSize + 777);
        expect((await readObject(store, `${base}mp`)).equals(Buffer.concat(bodies))).toBe(true);
        const head = await store.head(ctx, `${base}mp`);
        if (store.capabilities.userMetadata) expect([head.contentType, head.metadata["a"]]).toEqual(["x/y", "b"]);
        await expect(store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
        await store.delete(ctx, `${base}mp`);
      }, 60_000);

      test("that are aborted are gone, however often", async () => {
        const limits = store.capabilities.multipart;
        if (limits === undefined) return;
        const base = fresh();
        const upload = await store.createMultipart(ctx, `${base}mp`, {
          partSizeBytes: Math.max(limits.minPartBytes, 1_000),
        });
        const arrived = await store.uploadPart(ctx, upload, 1, part(randomBytes(1_000)));
        await store.abortMultipart(ctx, upload);
        await store.abortMultipart(ctx, upload);
        await expect(store.completeMultipart(ctx, upload, [arrived])).rejects.toMatchObject({ code: "NotFound" });
        await expect(store.uploadPart(ctx, upload, 1, part(randomBytes(10)))).rejects.toMatchObject({
          code: "NotFound",
        });
        const unknown: MultipartUpload = { key: `${base}mp`, uploadId: "no-such-upload" };
        await store.abortMultipart(ctx, unknown);
      });
    });

    describe("copies and deletes", () => {
      test("of an object within the site keep or replace what it carries", async () => {
        if (!store.capabilities.serverSideCopy) return;
        const base = fresh();
        const body = randomBytes(70_000);
        const source = await putObject(store, `${base}from`, body, { contentType: "a/b", metadata: { k: "v" } });
        const copied = await store.copy(ctx, `${base}from`, `${base}deep/to`);
        expect(copied.sizeBytes).toBe(70_000);
        expect((await readObject(store, `${base}deep/to`)).equals(body)).toBe(true);
        if (store.capabilities.userMetadata)
          expect(await store.head(ctx, `${base}deep/to`)).toMatchObject({ contentType: "a/b", metadata: { k: "v" } });
        await store.copy(ctx, `${base}from`, `${base}to2`, { contentType: "c/d", metadata: { z: "1" } });
        if (store.capabilities.userMetadata)
          expect(await store.head(ctx, `${base}to2`)).toMatchObject({ contentType: "c/d", metadata: { z: "1" } });
        await expect(store.copy(ctx, `${base}none`, `${base}to3`)).rejects.toMatchObject({ code: "NotFound" });
        await expect(
          store.copy(ctx, `${base}from`, `${base}to3`, { sourceIfMatch: "0".repeat(32) }),
        ).rejects.toMatchObject({ code: "PreconditionFailed" });
        await expect(store.head(ctx, `${base}to3`)).rejects.toMatchObject({ code: "NotFound" });
        expect((await store.head(ctx, `${base}from`)).etag).toBe(source.etag);
      });

      test("spare an object that is another one by now", async () => {
        const key = `${fresh()}object`;
        const { etag } = await putObject(store, key, "one");
        await putObject(store, key, "two");
        await expect(store.delete(ctx, key, { ifMatch: etag })).rejects.toMatchObject({ code: "PreconditionFailed" });
        expect((await readObject(store, key)).toString()).toBe("two");
        await store.delete(ctx, key, { ifMatch: (await store.head(ctx, key)).etag });
        await expect(store.head(ctx, key)).rejects.toMatchObject({ code: "NotFound" });
      });

      test("of many keys have one outcome each, in order", async () => {
        const base = fresh();
        const keys = [`${base}1`, `${base}missing`, `${base}2 & <3>`];
        for (const key of [keys[0], keys[2]]) await putObject(store, key as string, "x");
        const outcomes = await store.deleteMany(ctx, keys);
        expect(outcomes).toEqual(keys.map((key) => ({ key })));
        expect((await store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
      });
    });

    describe("listings", () => {
      test("come in the order of UTF-8 bytes, page by page, as a model says", async () => {
        const names = ["a", "a-b", "a/b", "a/c", "a0", "b/", "b/c/d", "\u{1F600}x", "\uE000y", "z z"];
        const keyArbitrary = fc
          .array(fc.constantFrom(...names), { minLength: 1, maxLength: 2 })
          .map((parts) => parts.join("/"));
        const queryArbitrary = fc.record({
          prefix: fc.oneof(fc.constant(""), fc.constantFrom("a", "a/", "b/", "b", "\uE000")),
          delimiter: fc.boolean(),
          after: fc.option(fc.oneof(keyArbitrary, fc.constantFrom("a", "a/", "b/", "zz")), { nil: undefined }),
          limit: fc.integer({ min: 1, max: 4 }),
        });
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(keyArbitrary, { minLength: 1, maxLength: 12 }),
            fc.array(queryArbitrary, { minLength: 1, maxLength: 6 }),
            async (keys, queries) => {
              const base = fresh();
              await Promise.all(keys.map(async (key) => await putObject(store, base + key, key)));
              for (const { prefix, delimiter, after, limit } of queries) {
                const query = {
                  prefix: base + prefix,
                  ...(delimiter ? { delimiter: "/" as const } : {}),
                  ...(after === undefined ? {} : { after: base + after }),
                };
                const expected = modelList(
                  keys.map((key) => base + key),
                  query,
                );
                expect(await listAll(store, query, limit)).toEqual(expected);
              }
              await store.deleteMany(
                ctx,
                keys.map((key) => base + key),
              );
            },
          ),
          { numRuns: options.modelRuns ?? 40 },
        );
      }, 120_000);

      test("tell size and etag as the object does", async () => {
        const base = fresh();
        const info = await putObject(store, `${base}x`, "12345", {
          sha256: createHash("sha256").update("12345").digest("hex"),
        });
        const [listed] = (await store.list(ctx, { prefix: base, limit: 10 })).objects;
        expect([listed?.sizeBytes, listed?.etag]).toEqual([5, info.etag]);
        expect(Math.abs((listed?.modifiedMs ?? 0) - info.modifiedMs)).toBeLessThan(2_000);
      });

      test("have a limit of 1 to 1,000", async () => {
        await expect(store.list(ctx, { limit: 0 })).rejects.toMatchObject({ code: "InvalidArgument" });
        await expect(store.list(ctx, { limit: 1_001 })).rejects.toMatchObject({ code: "InvalidArgument" });
      });
    });

    describe("the rest", () => {
      test("answers the health check", async () => {
        await store.check(ctx);
      });

      test("hands out addresses where it can, and says so where not", async () => {
        const key = `${fresh()}presigned`;
        await putObject(store, key, "by address");
        if (!store.capabilities.presign) {
          await expect(store.presign(ctx, key, { method: "GET", expiresSeconds: 60 })).rejects.toMatchObject({
            code: "Unsupported",
          });
          return;
        }
        const url = await store.presign(ctx, key, { method: "GET", expiresSeconds: 60 });
        expect(await (await fetch(url)).text()).toBe("by address");
      });

      test("sweeps what uploads left behind, and only that", async () => {
        const limits = store.capabilities.multipart;
        if (limits === undefined) return;
        const base = fresh();
        const kept = await putObject(store, `${base}kept`, "kept");
        const upload = await store.createMultipart(ctx, `${base}left`, {
          partSizeBytes: Math.max(limits.minPartBytes, 1_000),
        });
        await store.uploadPart(ctx, upload, 1, part(randomBytes(10)));
        expect(await store.sweep(ctx, 3_600_000)).toBe(0);
        expect((await store.listParts(ctx, upload)).length).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(await store.sweep(ctx, -60_000)).toBeGreaterThanOrEqual(1);
        await expect(store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
        expect((await store.head(ctx, `${base}kept`)).etag).toBe(kept.etag);
      });

      test("stops when it is told to", async () => {
        const key = `${fresh()}aborted`;
        const staged = await store.stage(ctx, key);
        await staged.write(Buffer.from("x"));
        await staged.seal();
        const signal = AbortSignal.abort(new Error("enough"));
        await expect(staged.commit({ ...ctx, signal })).rejects.toMatchObject({ code: "Canceled" });
        await staged.abort();
        await expect(store.head(ctx, key)).rejects.toMatchObject({ code: "NotFound" });
      });
    });
  });
}

interface ModelQuery {
  readonly prefix: string;
  readonly delimiter?: "/";
  readonly after?: string;
}

function modelList(
  keys: readonly string[],
  { prefix, delimiter, after }: ModelQuery,
): { objects: string[]; prefixes: string[] } {
  const objects: string[] = [];
  const prefixes = new Set<string>();
  for (const key of [...keys].sort(compareKeys)) {
    if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue;
    const slash = delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
    if (slash === -1) objects.push(key);
    else prefixes.add(key.slice(0, slash + 1));
  }
  // Whether a prefix that `after` names is given again is left to the store.
  if (after !== undefined) prefixes.delete(after);
  return { objects, prefixes: [...prefixes] };
}

async function listAll(
  store: Store,
  query: ModelQuery,
  limit: number,
): Promise<{ objects: string[]; prefixes: string[] }> {
  const objects: string[] = [];
  const prefixes: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await store.list(ctx, { ...query, limit, ...(continuation === undefined ? {} : { continuation }) });
    expect(page.objects.length + page.prefixes.length).toBeLessThanOrEqual(limit);
    objects.push(...page.objects.map(({ key }) => key));
    prefixes.push(...page.prefixes.filter((prefix) => prefix !== query.after));
    continuation = page.continuation;
  } while (continuation !== undefined);
  return { objects, prefixes };
}
