import { createHash, randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { type MultipartUpload } from "../../../../src/stores/index.ts";
import { ctx, part, putObject, readObject, type Suite } from "../access.ts";

/** Staged writes, uploads in parts, copies and deletes. */
export function describeWrites(suite: Suite): void {
  describe("writes", () => {
    suite.test("show nothing before they are committed, and nothing after they are aborted", async () => {
      const base = suite.fresh();
      const staged = await suite.store.stage(ctx, `${base}x`);
      await staged.write(Buffer.alloc(100_000));
      await staged.seal();
      await expect(suite.store.head(ctx, `${base}x`)).rejects.toMatchObject({ code: "NotFound" });
      expect((await suite.store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
      await staged.abort();
      await staged.abort();
      await expect(suite.store.head(ctx, `${base}x`)).rejects.toMatchObject({ code: "NotFound" });
      const open = await suite.store.stage(ctx, `${base}y`);
      await open.write(Buffer.from("half"));
      await open.abort();
      expect((await suite.store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
    });

    suite.test("keep the announced length", async () => {
      const base = suite.fresh();
      const short = await suite.store.stage(ctx, `${base}short`, { sizeBytes: 10 });
      await short.write(Buffer.alloc(4));
      await expect(short.seal()).rejects.toMatchObject({ code: "IncompleteBody" });
      await short.abort();
      const long = await suite.store.stage(ctx, `${base}long`, { sizeBytes: 3 });
      await expect(
        (async () => {
          await long.write(Buffer.alloc(4));
          await long.seal();
        })(),
      ).rejects.toMatchObject({ code: "IncompleteBody" });
      await long.abort();
    });

    suite.test("may reuse the chunk they handed over", async () => {
      const key = `${suite.fresh()}reused`;
      const staged = await suite.store.stage(ctx, key);
      const chunk = Buffer.alloc(50_000);
      const expected: Buffer[] = [];
      for (let index = 0; index < 60; index++) {
        chunk.fill(index);
        expected.push(Buffer.from(chunk));
        await staged.write(chunk);
      }
      await staged.seal();
      await staged.commit(ctx);
      expect((await readObject(suite.store, key)).equals(Buffer.concat(expected))).toBe(true);
    });

    suite.test(
      "of large bodies arrive whole",
      async () => {
        const key = `${suite.fresh()}large`;
        const hash = createHash("sha256");
        const staged = await suite.store.stage(ctx, key);
        const chunk = randomBytes(1_000_003);
        for (let index = 0; index < 21; index++) {
          hash.update(chunk);
          await staged.write(chunk);
        }
        await staged.seal();
        const info = await staged.commit(ctx);
        expect(info.sizeBytes).toBe(21 * 1_000_003);
        const back = createHash("sha256");
        for await (const piece of (await suite.store.get(ctx, key)).stream) back.update(piece);
        expect(back.digest("hex")).toBe(hash.digest("hex"));
        await suite.store.delete(ctx, key);
      },
      60_000,
    );

    suite.test("hold their conditions, also when many race", async () => {
      if (!suite.store.capabilities.conditionalWrites) return;
      const base = suite.fresh();
      const stageOne = async (key: string, body: string) => {
        const staged = await suite.store.stage(ctx, key);
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
      const { etag } = await suite.store.head(ctx, `${base}new`);
      await expect((await stageOne(`${base}new`, "b")).commit(ctx, { ifMatch: "0".repeat(32) })).rejects.toMatchObject({
        code: "PreconditionFailed",
      });
      await expect((await stageOne(`${base}gone`, "b")).commit(ctx, { ifMatch: etag })).rejects.toMatchObject({
        code: "PreconditionFailed",
      });
      await expect(suite.store.head(ctx, `${base}gone`)).rejects.toMatchObject({ code: "NotFound" });
      expect((await (await stageOne(`${base}new`, "b")).commit(ctx, { ifMatch: etag })).sizeBytes).toBe(1);
    });
  });

  describe("multipart uploads", () => {
    suite.test(
      "take parts in any order, in parallel and again, and show nothing before",
      async () => {
        const limits = suite.store.capabilities.multipart;
        if (limits === undefined) return;
        const base = suite.fresh();
        const partSize = Math.max(limits.minPartBytes, 150_000);
        const bodies = [randomBytes(partSize), randomBytes(partSize), randomBytes(777)];
        const upload = await suite.store.createMultipart(ctx, `${base}mp`, {
          partSizeBytes: partSize,
          contentType: "x/y",
          metadata: { a: "b" },
        });
        await suite.store.uploadPart(ctx, upload, 1, part(randomBytes(partSize)));
        const parts = await Promise.all(
          [2, 0, 1].map(
            async (index) => await suite.store.uploadPart(ctx, upload, index + 1, part(bodies[index] as Buffer)),
          ),
        );
        parts.sort((one, other) => one.partNumber - other.partNumber);
        expect(
          (await suite.store.listParts(ctx, upload)).map(({ partNumber, sizeBytes }) => [partNumber, sizeBytes]),
        ).toEqual(bodies.map((body, index) => [index + 1, body.length]));
        await expect(suite.store.head(ctx, `${base}mp`)).rejects.toMatchObject({ code: "NotFound" });
        const info = await suite.store.completeMultipart(ctx, upload, parts);
        expect(info.sizeBytes).toBe(2 * partSize + 777);
        expect((await readObject(suite.store, `${base}mp`)).equals(Buffer.concat(bodies))).toBe(true);
        const head = await suite.store.head(ctx, `${base}mp`);
        if (suite.store.capabilities.userMetadata) expect([head.contentType, head.metadata["a"]]).toEqual(["x/y", "b"]);
        await expect(suite.store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
        await suite.store.delete(ctx, `${base}mp`);
      },
      60_000,
    );

    suite.test("that are aborted are gone, however often", async () => {
      const limits = suite.store.capabilities.multipart;
      if (limits === undefined) return;
      const base = suite.fresh();
      const upload = await suite.store.createMultipart(ctx, `${base}mp`, {
        partSizeBytes: Math.max(limits.minPartBytes, 1_000),
      });
      const arrived = await suite.store.uploadPart(ctx, upload, 1, part(randomBytes(1_000)));
      await suite.store.abortMultipart(ctx, upload);
      await suite.store.abortMultipart(ctx, upload);
      await expect(suite.store.completeMultipart(ctx, upload, [arrived])).rejects.toMatchObject({ code: "NotFound" });
      await expect(suite.store.uploadPart(ctx, upload, 1, part(randomBytes(10)))).rejects.toMatchObject({
        code: "NotFound",
      });
      const unknown: MultipartUpload = { key: `${base}mp`, uploadId: "no-such-upload" };
      await suite.store.abortMultipart(ctx, unknown);
    });
  });

  describe("copies and deletes", () => {
    suite.test("of an object within the site keep or replace what it carries", async () => {
      if (!suite.store.capabilities.serverSideCopy) return;
      const base = suite.fresh();
      const body = randomBytes(70_000);
      const source = await putObject(suite.store, `${base}from`, body, { contentType: "a/b", metadata: { k: "v" } });
      const copied = await suite.store.copy(ctx, `${base}from`, `${base}deep/to`);
      expect(copied.sizeBytes).toBe(70_000);
      expect((await readObject(suite.store, `${base}deep/to`)).equals(body)).toBe(true);
      if (suite.store.capabilities.userMetadata)
        expect(await suite.store.head(ctx, `${base}deep/to`)).toMatchObject({
          contentType: "a/b",
          metadata: { k: "v" },
        });
      await suite.store.copy(ctx, `${base}from`, `${base}to2`, { contentType: "c/d", metadata: { z: "1" } });
      if (suite.store.capabilities.userMetadata)
        expect(await suite.store.head(ctx, `${base}to2`)).toMatchObject({ contentType: "c/d", metadata: { z: "1" } });
      await expect(suite.store.copy(ctx, `${base}none`, `${base}to3`)).rejects.toMatchObject({ code: "NotFound" });
      await expect(
        suite.store.copy(ctx, `${base}from`, `${base}to3`, { sourceIfMatch: "0".repeat(32) }),
      ).rejects.toMatchObject({ code: "PreconditionFailed" });
      await expect(suite.store.head(ctx, `${base}to3`)).rejects.toMatchObject({ code: "NotFound" });
      expect((await suite.store.head(ctx, `${base}from`)).etag).toBe(source.etag);
    });

    suite.test("spare an object that is another one by now", async () => {
      const key = `${suite.fresh()}object`;
      const { etag } = await putObject(suite.store, key, "one");
      await putObject(suite.store, key, "two");
      await expect(suite.store.delete(ctx, key, { ifMatch: etag })).rejects.toMatchObject({
        code: "PreconditionFailed",
      });
      expect((await readObject(suite.store, key)).toString()).toBe("two");
      await suite.store.delete(ctx, key, { ifMatch: (await suite.store.head(ctx, key)).etag });
      await expect(suite.store.head(ctx, key)).rejects.toMatchObject({ code: "NotFound" });
    });

    suite.test("of many keys have one outcome each, in order", async () => {
      const base = suite.fresh();
      const keys = [`${base}1`, `${base}missing`, `${base}2 & <3>`];
      for (const key of [keys[0], keys[2]]) await putObject(suite.store, key as string, "x");
      const outcomes = await suite.store.deleteMany(ctx, keys);
      expect(outcomes).toEqual(keys.map((key) => ({ key })));
      expect((await suite.store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
    });
  });
}
