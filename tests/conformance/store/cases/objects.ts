import { createHash, randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { compareKeys } from "../../../../src/stores/index.ts";
import { ctx, putObject, readObject, type Suite } from "../access.ts";

/** Objects, their keys, and keys that are an object and a prefix at once. */
export function describeObjects(suite: Suite): void {
  describe("objects", () => {
    suite.test("come back as they were written, with type, metadata and checksum", async () => {
      const key = `${suite.fresh()}object`;
      const body = randomBytes(200_000);
      const sha256 = createHash("sha256").update(body).digest("hex");
      const written = await putObject(suite.store, key, body, {
        contentType: "text/x-test; charset=utf-8",
        metadata: { colour: "blau & grün", "x-y": "1" },
        sha256,
      });
      const head = await suite.store.head(ctx, key);
      expect(head.sizeBytes).toBe(200_000);
      expect(head.etag).toBe(written.etag);
      expect(Math.abs(head.modifiedMs - Date.now())).toBeLessThan(60_000);
      if (suite.store.capabilities.userMetadata) {
        expect(head.contentType).toBe("text/x-test; charset=utf-8");
        expect(head.metadata).toMatchObject({ colour: "blau & grün", "x-y": "1" });
      }
      expect((await readObject(suite.store, key)).equals(body)).toBe(true);
    });

    suite.test("may be empty", async () => {
      const key = `${suite.fresh()}empty`;
      await putObject(suite.store, key, "", { sizeBytes: 0 });
      expect((await suite.store.head(ctx, key)).sizeBytes).toBe(0);
      expect((await readObject(suite.store, key)).length).toBe(0);
      await expect(suite.store.get(ctx, key, { range: { start: 0 } })).rejects.toMatchObject({
        code: "RangeNotSatisfiable",
      });
    });

    suite.test("take any key", async () => {
      const base = suite.fresh();
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
      for (const key of keys) await putObject(suite.store, base + key, `body of ${key}`);
      for (const key of keys) expect((await readObject(suite.store, base + key)).toString()).toBe(`body of ${key}`);
      const listed = await suite.store.list(ctx, { prefix: base, limit: 1_000 });
      expect(listed.objects.map(({ key }) => key)).toEqual(keys.map((key) => base + key).sort(compareKeys));
    });

    suite.test("take keys that a path could not name", async () => {
      const base = suite.fresh();
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
      for (const key of keys) await putObject(suite.store, base + key, key);
      for (const key of keys) expect((await readObject(suite.store, base + key)).toString()).toBe(key);
      const listed = await suite.store.list(ctx, { prefix: base, limit: 1_000 });
      expect(listed.objects.map(({ key }) => key)).toEqual(keys.map((key) => base + key).sort(compareKeys));
      for (const key of keys) await suite.store.delete(ctx, base + key);
      expect((await suite.store.list(ctx, { prefix: base, limit: 10 })).objects).toEqual([]);
    });

    suite.test("have keys of up to 1,024 bytes, and no others", async () => {
      const base = suite.fresh();
      const longest = base + "k".repeat(1_024 - base.length);
      await putObject(suite.store, longest, "x");
      expect((await readObject(suite.store, longest)).toString()).toBe("x");
      await expect(suite.store.head(ctx, `${longest}k`)).rejects.toMatchObject({ code: "KeyTooLong" });
      await expect(suite.store.stage(ctx, "")).rejects.toMatchObject({ code: "InvalidKey" });
      await expect(suite.store.get(ctx, "a\0b")).rejects.toMatchObject({ code: "InvalidKey" });
      await suite.store.delete(ctx, longest);
    });

    suite.test("that are missing are NotFound, and deleting them succeeds", async () => {
      const base = suite.fresh();
      await expect(suite.store.head(ctx, `${base}none`)).rejects.toMatchObject({ code: "NotFound" });
      await expect(suite.store.get(ctx, `${base}none`)).rejects.toMatchObject({ code: "NotFound" });
      await expect(suite.store.get(ctx, `${base}none`, { ifMatch: "x" })).rejects.toMatchObject({ code: "NotFound" });
      await suite.store.delete(ctx, `${base}none`);
      await suite.store
        .delete(ctx, `${base}none`, { ifMatch: "x" })
        .catch((error: { code?: string }) => expect(error.code).toBe("PreconditionFailed"));
      await putObject(suite.store, `${base}file`, "x");
      await expect(suite.store.head(ctx, `${base}file/below`)).rejects.toMatchObject({ code: "NotFound" });
    });

    suite.test("that are replaced have another etag, and readers keep the bytes they began with", async () => {
      const key = `${suite.fresh()}object`;
      const old = randomBytes(3_000_000);
      const first = await putObject(suite.store, key, old);
      const body = await suite.store.get(ctx, key);
      const iterator = body.stream[Symbol.asyncIterator]();
      const begun = await iterator.next();
      const second = await putObject(suite.store, key, "new");
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
      expect((await readObject(suite.store, key)).toString()).toBe("new");
    });
  });

  describe("keys that are an object and a prefix at once", () => {
    suite.test("keep both, in whichever order they come and go", async () => {
      const base = suite.fresh();
      await putObject(suite.store, `${base}a`, "object");
      await putObject(suite.store, `${base}a/b`, "below");
      await putObject(suite.store, `${base}a/b/c`, "deep");
      expect((await readObject(suite.store, `${base}a`)).toString()).toBe("object");
      await putObject(suite.store, `${base}a`, "object 2");
      expect((await readObject(suite.store, `${base}a`)).toString()).toBe("object 2");
      await suite.store.delete(ctx, `${base}a/b`);
      expect((await readObject(suite.store, `${base}a/b/c`)).toString()).toBe("deep");
      await suite.store.delete(ctx, `${base}a/b/c`);
      expect((await readObject(suite.store, `${base}a`)).toString()).toBe("object 2");
      await putObject(suite.store, `${base}a`, "object 3");
      await putObject(suite.store, `${base}a/b`, "again");
      const listed = await suite.store.list(ctx, { prefix: base, limit: 10 });
      expect(listed.objects.map(({ key }) => key)).toEqual([`${base}a`, `${base}a/b`]);
      expect((await readObject(suite.store, `${base}a`)).toString()).toBe("object 3");
      await suite.store.delete(ctx, `${base}a`);
      await expect(suite.store.head(ctx, `${base}a`)).rejects.toMatchObject({ code: "NotFound" });
      expect((await readObject(suite.store, `${base}a/b`)).toString()).toBe("again");
    });

    suite.test("survive writers of all of them at the same time", async () => {
      const base = suite.fresh();
      const keys = ["k", "k/k", "k/k/k"];
      for (let round = 0; round < 5; round++) {
        await Promise.all(keys.map(async (key) => await putObject(suite.store, base + key, `${key} ${round}`)));
        for (const key of keys) expect((await readObject(suite.store, base + key)).toString()).toBe(`${key} ${round}`);
        if (round % 2 === 1) await Promise.all(keys.map(async (key) => await suite.store.delete(ctx, base + key)));
      }
    });
  });
}
