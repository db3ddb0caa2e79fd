import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { bytesAt, putBytes } from "./testing/scripted-store.ts";
import type { PartBody, Store } from "./store.ts";
import { openFileStore } from "./drivers/file/index.ts";
import { createMemoryStore } from "./drivers/memory/index.ts";

const ctx = backgroundCtx({ requestId: "test" });

async function openFile(): Promise<Store> {
  const root = await mkdtemp(path.join(os.tmpdir(), "globalfs-misuse-"));
  const store = await openFileStore({ root });
  onTestFinished(async () => {
    await store.close();
    await rm(root, { recursive: true });
  });
  return store;
}

function part(text: string): PartBody {
  return {
    sizeBytes: Buffer.byteLength(text),
    async *open() {
      yield Buffer.from(text);
    },
  };
}

describe.each<[string, () => Promise<Store>]>([
  ["memory", async () => createMemoryStore()],
  ["file", openFile],
])("a %s site that is used wrongly", (_name, open) => {
  it("takes no bytes for a write that was sealed, and shows none that was not", async () => {
    const store = await open();
    const staged = await store.stage(ctx, "key");
    await staged.write(Buffer.from("bytes"));
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Internal" });
    expect(await bytesAt(store, "key")).toBeUndefined();
    await staged.seal();
    await expect(staged.write(Buffer.from("more"))).rejects.toMatchObject({ code: "Internal" });
    await staged.commit(ctx);
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Internal" });
    await staged.abort();
    expect((await bytesAt(store, "key"))?.toString()).toBe("bytes");
  });

  it("takes nothing for a write that was given up", async () => {
    const store = await open();
    const staged = await store.stage(ctx, "key");
    await staged.write(Buffer.from("bytes"));
    await staged.abort();
    await expect(staged.write(Buffer.from("more"))).rejects.toMatchObject({ code: "Internal" });
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Internal" });
    expect(await bytesAt(store, "key")).toBeUndefined();
  });

  it.each([0, -1, 10_001, 1.5])("has no part %d", async (number) => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", {});
    await expect(store.uploadPart(ctx, upload, number, part("x"))).rejects.toMatchObject({ code: "InvalidArgument" });
    expect(await store.listParts(ctx, upload)).toEqual([]);
  });

  it("has parts 1 and 10,000", async () => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", {});
    const parts = [
      await store.uploadPart(ctx, upload, 1, part("first ")),
      await store.uploadPart(ctx, upload, 10_000, part("last")),
    ];
    expect((await store.completeMultipart(ctx, upload, parts)).sizeBytes).toBe(10);
  });

  it("takes no part that is larger than was said of all", async () => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", { partSizeBytes: 5 });
    await expect(store.uploadPart(ctx, upload, 1, part("123456"))).rejects.toMatchObject({ code: "TooLarge" });
    expect(await store.uploadPart(ctx, upload, 1, part("12345"))).toMatchObject({ sizeBytes: 5 });
  });

  it.each([
    ["shorter", 4],
    ["longer", 6],
  ])("takes no part that turns out %s than was announced, and keeps the one from before", async (_what, sizeBytes) => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", {});
    const first = await store.uploadPart(ctx, upload, 1, part("first"));
    await expect(store.uploadPart(ctx, upload, 1, { ...part("other"), sizeBytes })).rejects.toMatchObject({
      code: "IncompleteBody",
    });
    await store.completeMultipart(ctx, upload, [first]);
    expect((await bytesAt(store, "key"))?.toString()).toBe("first");
  });

  it("knows no upload of nobody, and none of another key", async () => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", {});
    const strange = [
      { key: "key", uploadId: "../../etc" },
      { key: "key", uploadId: `${upload.uploadId}0` },
      { key: "other", uploadId: upload.uploadId },
    ];
    for (const which of strange) {
      await expect(store.listParts(ctx, which)).rejects.toMatchObject({ code: "NotFound" });
      await expect(store.uploadPart(ctx, which, 1, part("x"))).rejects.toMatchObject({ code: "NotFound" });
      await expect(store.completeMultipart(ctx, which, [])).rejects.toMatchObject({ code: "NotFound" });
    }
    for (const which of strange.slice(0, 2)) await store.abortMultipart(ctx, which);
    expect(await store.listParts(ctx, upload)).toEqual([]);
  });

  it("completes no upload with parts that it does not have, or in another order", async () => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", {});
    const one = await store.uploadPart(ctx, upload, 1, part("1"));
    const two = await store.uploadPart(ctx, upload, 2, part("2"));
    for (const parts of [
      [two, one],
      [one, one],
      [one, { ...two, partNumber: 3 }],
      [one, { ...two, etag: one.etag }],
    ]) {
      await expect(store.completeMultipart(ctx, upload, parts)).rejects.toMatchObject({ code: "InvalidArgument" });
    }
    await store.completeMultipart(ctx, upload, [one, two]);
    expect((await bytesAt(store, "key"))?.toString()).toBe("12");
  });

  it("completes no upload whose parts are not of the size that was said of all but the last", async () => {
    const store = await open();
    const upload = await store.createMultipart(ctx, "key", { partSizeBytes: 2 });
    const short = await store.uploadPart(ctx, upload, 1, part("1"));
    const two = await store.uploadPart(ctx, upload, 2, part("22"));
    const three = await store.uploadPart(ctx, upload, 3, part("3"));
    await expect(store.completeMultipart(ctx, upload, [short, two])).rejects.toMatchObject({ code: "InvalidArgument" });
    await expect(store.completeMultipart(ctx, upload, [two, three])).rejects.toMatchObject({ code: "InvalidArgument" });
    const whole = await store.uploadPart(ctx, upload, 1, part("11"));
    await store.completeMultipart(ctx, upload, [whole, two, three]);
    expect((await bytesAt(store, "key"))?.toString()).toBe("11223");
  });

  it("refuses keys that are no Unicode, and deletes the others of a list", async () => {
    const store = await open();
    await putBytes(store, "a", "1");
    await putBytes(store, "c", "3");
    await expect(store.head(ctx, "b\uD800")).rejects.toMatchObject({ code: "InvalidKey" });
    const outcomes = await store.deleteMany(ctx, ["a", "b\uD800", "none", "c"]);
    expect(outcomes.map(({ key, error }) => [key, (error as { code?: string } | undefined)?.code])).toEqual([
      ["a", undefined],
      ["b\uD800", "InvalidKey"],
      ["none", undefined],
      ["c", undefined],
    ]);
    expect((await store.list(ctx, { limit: 10 })).objects).toEqual([]);
  });
});

it("a file site refuses the continuation of another listing", async () => {
  const store = await openFile();
  await putBytes(store, "a", "1");
  await expect(store.list(ctx, { limit: 1, continuation: "%%" })).rejects.toMatchObject({ code: "InvalidArgument" });
});

describe("a memory site that is full", () => {
  const full = async (store: Store, key: string, body: string): Promise<string> =>
    await putBytes(store, key, body).then(
      () => "done",
      (error: unknown) => (error as { code: string }).code,
    );

  it("takes no more, says so when it is asked how it is, and has room again when something goes", async () => {
    const store = createMemoryStore({ maxBytes: 10 });
    expect(await full(store, "a", "123456")).toBe("done");
    await store.check(ctx);
    expect(await full(store, "b", "12345")).toBe("NoSpace");
    expect(await full(store, "b", "1234")).toBe("done");
    await expect(store.check(ctx)).rejects.toMatchObject({ code: "NoSpace" });
    await store.delete(ctx, "a");
    await store.check(ctx);
    expect(await full(store, "c", "123456")).toBe("done");
  });

  it("counts an object once that is replaced, and what is given up not at all", async () => {
    const store = createMemoryStore({ maxBytes: 10 });
    for (const body of ["12345", "54321", "11111"]) expect(await full(store, "a", body)).toBe("done");
    for (let turn = 0; turn < 3; turn++) {
      const staged = await store.stage(ctx, "b");
      await staged.write(Buffer.from("12345"));
      await staged.abort();
      await staged.abort();
    }
    expect(await full(store, "b", "12345")).toBe("done");
    expect(await full(store, "c", "1")).toBe("NoSpace");
  });

  it("counts the parts of uploads until they are gone, and then what the object has of them", async () => {
    const store = createMemoryStore({ maxBytes: 10 });
    const upload = await store.createMultipart(ctx, "a", {});
    await store.uploadPart(ctx, upload, 1, part("12345"));
    const one = await store.uploadPart(ctx, upload, 1, part("1234"));
    await store.uploadPart(ctx, upload, 2, part("1234"));
    expect(await full(store, "b", "123")).toBe("NoSpace");
    await store.completeMultipart(ctx, upload, [one]);
    expect(await full(store, "b", "123456")).toBe("done");
    expect(await full(store, "c", "1")).toBe("NoSpace");
    await store.delete(ctx, "a");
    const other = await store.createMultipart(ctx, "a", {});
    await store.uploadPart(ctx, other, 1, part("1234"));
    await store.abortMultipart(ctx, other);
    expect(await full(store, "c", "1234")).toBe("done");
  });
});
