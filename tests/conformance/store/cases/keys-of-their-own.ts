import { randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { compareKeys } from "../../../../src/stores/index.ts";
import { ctx, part, putObject, readObject, type Suite } from "../access.ts";

/** What lands where nothing lies: under another key than it was begun for, and under a second key beside the first. */
export function describeOwnKeys(suite: Suite): void {
  describe("an object that finds its key taken", () => {
    suite.test("is given another at its end, and has lost nothing by the first attempt", async () => {
      const { store } = suite;
      if (!store.capabilities.conditionalWrites) return;
      const base = suite.fresh();
      await putObject(store, `${base}x`, "there before");
      const staged = await store.stage(ctx, `${base}x`, { metadata: { k: "v" } });
      await staged.write(Buffer.from("new"));
      await staged.seal();
      await expect(staged.commit(ctx, { ifNoneMatch: "*" })).rejects.toMatchObject({ code: "PreconditionFailed" });
      const info = await staged.commit(ctx, { as: `${base}deep/y` });
      expect([info.key, info.sizeBytes]).toEqual([`${base}deep/y`, 3]);
      expect((await readObject(store, `${base}x`)).toString()).toBe("there before");
      expect((await readObject(store, `${base}deep/y`)).toString()).toBe("new");
      const metadata = store.capabilities.userMetadata ? { k: "v" } : {};
      expect(await store.head(ctx, `${base}deep/y`)).toMatchObject({ etag: info.etag, metadata });
      expect((await store.list(ctx, { prefix: base, limit: 10 })).objects.map(({ key }) => key)).toEqual([
        `${base}deep/y`,
        `${base}x`,
      ]);
    });

    suite.test("and came in parts is given another where the site says so, and refused where it does not", async () => {
      const { store } = suite;
      const { multipart, movesUploads } = store.capabilities;
      if (multipart === undefined) return;
      const base = suite.fresh();
      await putObject(store, `${base}x`, "there before");
      const upload = await store.createMultipart(ctx, `${base}x`, {});
      const body = randomBytes(3_000);
      const sent = await store.uploadPart(ctx, upload, 1, part(body));
      const complete = async (): Promise<string> =>
        await store.completeMultipart(ctx, upload, [sent], { as: `${base}y` }).then(
          ({ key }) => key,
          ({ code }: { code: string }) => code,
        );
      expect(await complete()).toBe(movesUploads ? `${base}y` : "Unsupported");
      const landed = movesUploads ? (await readObject(store, `${base}y`)).equals(body) : "refused";
      expect(landed).toBe(movesUploads ? true : "refused");
      expect((await readObject(store, `${base}x`)).toString()).toBe("there before");
      await store.abortMultipart(ctx, upload);
    });
  });

  describe("a copy that may share its bytes", () => {
    suite.test("is the same content under a second key, which stays when the first goes", async () => {
      const { store } = suite;
      if (!store.capabilities.serverSideCopy) return;
      const base = suite.fresh();
      const body = randomBytes(70_000);
      const { etag } = await putObject(store, `${base}from`, body, { contentType: "a/b", metadata: { k: "v" } });
      await store.copy(ctx, `${base}from`, `${base}to`, { mayShare: true, sourceIfMatch: etag, metadata: { k: "w" } });
      await store.delete(ctx, `${base}from`);
      expect((await readObject(store, `${base}to`)).equals(body)).toBe(true);
      const described = store.capabilities.userMetadata ? { contentType: "a/b", metadata: { k: "w" } } : {};
      expect(await store.head(ctx, `${base}to`)).toMatchObject(described);
    });

    suite.test("replaces what it was told to and nothing else, and can be made twice", async () => {
      const { store } = suite;
      if (!store.capabilities.conditionalCopies || !store.capabilities.conditionalWrites) return;
      const base = suite.fresh();
      await store.sweep(ctx, -1);
      await putObject(store, `${base}from`, "new");
      const old = await putObject(store, `${base}to`, "old");
      const copy = async (conditions: { readonly ifMatch?: string; readonly ifNoneMatch?: "*" }): Promise<string> =>
        (await store.copy(ctx, `${base}from`, `${base}to`, { mayShare: true, ...conditions })).etag;
      await expect(copy({ ifNoneMatch: "*" })).rejects.toMatchObject({ code: "PreconditionFailed" });
      await expect(copy({ ifMatch: "0".repeat(32) })).rejects.toMatchObject({ code: "PreconditionFailed" });
      expect((await readObject(store, `${base}to`)).toString()).toBe("old");
      const once = await copy({ ifMatch: old.etag });
      expect((await readObject(store, `${base}to`)).toString()).toBe("new");
      await copy({ ifMatch: once });
      expect((await store.list(ctx, { prefix: base, limit: 10 })).objects.map(({ key }) => key)).toEqual([
        `${base}from`,
        `${base}to`,
      ]);
      // A write to one of the two is none to the other.
      await putObject(store, `${base}to`, "newest");
      expect((await readObject(store, `${base}from`)).toString()).toBe("new");
      await store.delete(ctx, `${base}to`);
      expect(await store.sweep(ctx, -1)).toBe(0);
    });

    suite.test("is seen before it is durable, with others, and a flush of a key changes nothing", async () => {
      const { store } = suite;
      if (!store.capabilities.serverSideCopy) return;
      const base = suite.fresh();
      const names = Array.from({ length: 8 }, (_, index) => `${index % 3}/${index}`);
      const landed = (name: string): string => `.globalfs/landed/${base.slice(0, -1)}-${name.replace("/", "-")}`;
      for (const name of names) await putObject(store, landed(name), `body of ${name}`);
      await Promise.all(
        names.map(async (name) => {
          await store.copy(ctx, landed(name), base + name, { mayShare: true, durability: "visible" });
          expect((await readObject(store, base + name)).toString()).toBe(`body of ${name}`);
          await store.flush(ctx, base + name);
          await store.delete(ctx, landed(name), { durability: "visible" });
          await store.flush(ctx, landed(name));
        }),
      );
      for (const name of names) {
        expect((await readObject(store, base + name)).toString()).toBe(`body of ${name}`);
        await expect(store.head(ctx, landed(name))).rejects.toMatchObject({ code: "NotFound" });
      }
      // Nor does it matter whether anything is there.
      await store.flush(ctx, `${base}nothing/at/all`);
      expect((await store.list(ctx, { prefix: base, limit: 100 })).objects.map(({ key }) => key)).toEqual(
        names.map((name) => base + name).sort(compareKeys),
      );
    });
  });
}
