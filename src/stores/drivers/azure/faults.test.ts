import { createHash } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { bytesOf, sha256Of } from "../../testing/scripted-store.ts";
import type { PartBody, Store } from "../../store.ts";
import { createAzureStore } from "./index.ts";
import { ACCOUNT, type Asked, type BlobService, impatientClock, start } from "./testing/blob-service.ts";

const ctx = backgroundCtx();

/** As many uploads do at once: there is no room left to hold a part in memory, so that others are streamed. */
async function takeAllRoom(store: Store): Promise<void> {
  const upload = await store.createMultipart(ctx, "large", {});
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  await new Promise<void>((opened) => {
    const sending = store.uploadPart(
      ctx,
      upload,
      1,
      part("x", async function* () {
        opened();
        await held;
        yield Buffer.from("x");
      }),
    );
    onTestFinished(async () => {
      release();
      await sending.catch(() => undefined);
    });
  });
}

function part(text: string, opens?: () => AsyncIterable<Uint8Array>): PartBody {
  return {
    sizeBytes: Buffer.byteLength(text),
    open: opens ?? (() => chunks(Buffer.from(text), 3)),
  };
}

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function write(store: Store, key: string, body: string, conditions?: { ifNoneMatch?: "*"; ifMatch?: string }) {
  const staged = await store.stage(ctx, key);
  await staged.write(Buffer.from(body));
  await staged.seal();
  return await staged.commit(ctx, conditions);
}

async function startWithoutRoom(): Promise<{ store: Store; service: BlobService }> {
  const started = await start({ uploadBufferBytes: 1 });
  await takeAllRoom(started.store);
  started.service.asked.length = 0;
  return started;
}

const isBlock = ({ query }: Asked): boolean => query.get("comp") === "block";
const isPut = ({ method, query }: Asked): boolean => method === "PUT" && query.get("comp") === null;
const isCommit = ({ method, query }: Asked): boolean => method === "PUT" && query.get("comp") === "blocklist";

describe("a part that is too long to be held in memory", () => {
  it.each([["1"], ["1234"], ["12345"], ["12345678"], ["123456789012345678901234567890123456"]])(
    "goes up in blocks as it comes, and is the object then: %s",
    async (text) => {
      // Nothing is held: each block is at most four bytes, and a chunk has three.
      const { store, service } = await startWithoutRoom();
      const upload = await store.createMultipart(ctx, "key", {});
      const sent = await store.uploadPart(ctx, upload, 1, part(text));
      const sizes = service.asked.filter(isBlock).map(({ body }) => body.length);
      expect(sizes).toEqual([...Array<number>(Math.ceil(text.length / 4) - 1).fill(4), text.length % 4 || 4]);
      expect(await store.listParts(ctx, upload)).toEqual([sent]);
      await store.completeMultipart(ctx, upload, [sent]);
      expect((await bytesOf((await store.get(ctx, "key")).stream)).toString()).toBe(text);
    },
  );

  it("is none of more than nine blocks", async () => {
    const { store } = await startWithoutRoom();
    const upload = await store.createMultipart(ctx, "key", {});
    await expect(store.uploadPart(ctx, upload, 1, part("x".repeat(37)))).rejects.toMatchObject({ code: "TooLarge" });
    expect(await store.listParts(ctx, upload)).toEqual([]);
  });

  it("of which a block is missing has not arrived, and is sent anew from its beginning", async () => {
    const { store, service } = await startWithoutRoom();
    const upload = await store.createMultipart(ctx, "key", {});
    let blocks = 0;
    service.fail({ when: (asked) => isBlock(asked) && ++blocks >= 2, status: 500, times: 4 });
    let opened = 0;
    const body = part("12345678", () => {
      opened += 1;
      return chunks(Buffer.from("12345678"), 3);
    });
    await expect(store.uploadPart(ctx, upload, 1, body)).rejects.toMatchObject({ code: "Unavailable" });
    expect([opened, await store.listParts(ctx, upload)]).toEqual([4, []]);
    const sent = await store.uploadPart(ctx, upload, 1, body);
    expect(await store.listParts(ctx, upload)).toEqual([sent]);
  });

  it("that cannot be opened once more says what broke, and not that it is incomplete", async () => {
    const { store, service } = await startWithoutRoom();
    const upload = await store.createMultipart(ctx, "key", {});
    service.fail({ when: isBlock, status: 500 });
    let opened = 0;
    const once = part("12345678", () =>
      opened++ === 0 ? chunks(Buffer.from("12345678"), 3) : chunks(Buffer.alloc(0), 1),
    );
    await expect(store.uploadPart(ctx, upload, 1, once)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it.each([
    ["shorter", 7],
    ["longer", 9],
  ])("that turns out %s than announced is not taken", async (_what, length) => {
    const { store } = await startWithoutRoom();
    const upload = await store.createMultipart(ctx, "key", {});
    const body = part("12345678", () => chunks(Buffer.alloc(length, "x"), 3));
    await expect(store.uploadPart(ctx, upload, 1, body)).rejects.toMatchObject({ code: "IncompleteBody" });
    expect(await store.listParts(ctx, upload)).toEqual([]);
  });

  it("whose source fails tells of that, and ends it", async () => {
    const { store } = await startWithoutRoom();
    const upload = await store.createMultipart(ctx, "key", {});
    let ended = 0;
    const body = part("12345678", async function* () {
      try {
        yield Buffer.from("12345");
        throw new GfsError("PermissionDenied", "The client was not allowed to.");
      } finally {
        ended += 1;
      }
    });
    await expect(store.uploadPart(ctx, upload, 1, body)).rejects.toMatchObject({ code: "PermissionDenied" });
    expect(ended).toBe(1);
  });
});

describe("an upload in parts", () => {
  it("sees only its own blocks, and of a part that was sent twice the later", async () => {
    const { store } = await start();
    const one = await store.createMultipart(ctx, "key", {});
    const other = await store.createMultipart(ctx, "key", {});
    await store.uploadPart(ctx, one, 1, part("first"));
    const second = await store.uploadPart(ctx, one, 1, part("second"));
    await store.uploadPart(ctx, other, 2, part("of another"));
    expect(await store.listParts(ctx, one)).toEqual([second]);
  });

  it("whose answer was lost is known by its blocks", async () => {
    const { store, service } = await start();
    const upload = await store.createMultipart(ctx, "key", {});
    const sent = await store.uploadPart(ctx, upload, 1, part("bytes"));
    service.fail({ when: isCommit, late: true });
    const info = await store.completeMultipart(ctx, upload, [sent], { ifNoneMatch: "*" });
    expect(info).toMatchObject({ key: "key", sizeBytes: 5, etag: (await store.head(ctx, "key")).etag });
    await expect(store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
  });

  it("that lost against another is not taken for it", async () => {
    const { store, service } = await start();
    const upload = await store.createMultipart(ctx, "key", {});
    const sent = await store.uploadPart(ctx, upload, 1, part("bytes"));
    service.put("key", "of another", { blocks: ["b3RoZXI="] });
    await expect(store.completeMultipart(ctx, upload, [sent], { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
  });

  it("over an object that is not there any more fails its condition", async () => {
    const { store } = await start();
    const upload = await store.createMultipart(ctx, "key", {});
    const sent = await store.uploadPart(ctx, upload, 1, part("bytes"));
    await expect(store.completeMultipart(ctx, upload, [sent], { ifMatch: "1" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
  });

  it("is not forgotten when its record cannot be read at the moment", async () => {
    const { store, service } = await start();
    const upload = await store.createMultipart(ctx, "key", {});
    service.fail({
      when: ({ method, name }) => method === "GET" && name.includes("uploads"),
      status: 503,
      code: "ServerBusy",
    });
    await expect(store.listParts(ctx, upload)).rejects.toMatchObject({ code: "Overloaded" });
    expect(await store.listParts(ctx, upload)).toEqual([]);
  });

  it("has no name that leads elsewhere, and no part of another number", async () => {
    const { store, service } = await start();
    const strange = { key: "key", uploadId: "../key" };
    await expect(store.listParts(ctx, strange)).rejects.toMatchObject({ code: "NotFound" });
    await store.abortMultipart(ctx, strange);
    expect(service.asked).toEqual([]);
    const upload = await store.createMultipart(ctx, "key", {});
    for (const number of [0, 10_001, 1.5])
      await expect(store.uploadPart(ctx, upload, number, part("x"))).rejects.toMatchObject({ code: "InvalidArgument" });
  });
});

describe("a write", () => {
  it("whose answer was lost is known by its bytes, and sent once", async () => {
    const { store, service } = await start();
    service.fail({ when: isPut, late: true });
    const info = await write(store, "key", "bytes", { ifNoneMatch: "*" });
    expect([info.etag, info.sizeBytes, service.count(isPut)]).toEqual([(await store.head(ctx, "key")).etag, 5, 2]);
  });

  it.each([
    ["of other bytes", { metadata: { globalfs_2dsha256: sha256Of(Buffer.from("other")) } }],
    ["without a checksum", { md5: createHash("md5").update("bytes").digest("base64") }],
    [
      "with another MD5",
      { metadata: { globalfs_2dsha256: sha256Of(Buffer.from("bytes")) }, md5: "AAAAAAAAAAAAAAAAAAAAAA==" },
    ],
    ["without an MD5", { metadata: { globalfs_2dsha256: sha256Of(Buffer.from("bytes")) } }],
  ])("is not taken for an object %s that somebody else put there meanwhile", async (_what, more) => {
    const { store, service } = await start();
    service.fail({
      when: (asked) => {
        if (!isPut(asked) || service.blobs.has("key")) return false;
        service.put("key", "bytes", more);
        return true;
      },
      status: 500,
    });
    await expect(write(store, "key", "bytes", { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
  });

  it("that fails its condition at once asks for nothing more", async () => {
    const { store, service } = await start();
    service.put("key", "of another");
    await expect(write(store, "key", "bytes", { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect(service.asked.length).toBe(1);
  });

  it("over an object that is not there any more fails its condition", async () => {
    const { store } = await start();
    await expect(write(store, "key", "bytes", { ifMatch: "1" })).rejects.toMatchObject({ code: "PreconditionFailed" });
  });

  it("with metadata that cannot be kept is refused before a byte is sent", async () => {
    const { store, service } = await start();
    for (const name of ["Upper", "with space", "globalfs-sha256", ""]) {
      const staged = await store.stage(ctx, "key", { metadata: { [name]: "x" } }).then(
        async (opened) =>
          await opened.seal().then(
            () => "sealed",
            (error: { code: string }) => error.code,
          ),
        (error: { code: string }) => error.code,
      );
      expect(staged, name).toBe("InvalidArgument");
    }
    expect(service.asked).toEqual([]);
  });
});

describe("a read", () => {
  it("that ends early is noticed, and one of nothing is no read of a condition that failed", async () => {
    const { store, service } = await start();
    service.put("key", "bytes");
    service.fail({ when: ({ method }) => method === "GET", headers: { "content-length": "10" } });
    const body = await store.get(ctx, "key");
    // Nobody gave up, whatever the SDK calls it: another copy is read from here on.
    await expect(bytesOf(body.stream)).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
    service.fail({ when: ({ method }) => method === "GET", status: 412, code: "ConditionNotMet" });
    service.blobs.clear();
    await expect(store.get(ctx, "key", { ifMatch: "1" })).rejects.toMatchObject({ code: "NotFound" });
  });

  it("of an object in the archive tier says what to do", async () => {
    const { store, service } = await start();
    for (const code of ["BlobArchived", "BlobBeingRehydrated"]) {
      service.fail({ when: () => true, status: 409, code });
      await expect(store.get(ctx, "key")).rejects.toMatchObject({
        code: "Unavailable",
        retry: "never",
        message: expect.stringContaining("rehydrate it") as string,
      });
    }
  });

  it("is ended by its caller's own reason", async () => {
    const { store } = await start();
    const reason = new GfsError("Timeout", "The time for this request is over.");
    const gone = { ...ctx, signal: AbortSignal.abort(reason) };
    await expect(store.head(gone, "key")).rejects.toBe(reason);
    await expect(store.head({ ...ctx, signal: AbortSignal.abort() }, "key")).rejects.toMatchObject({
      code: "Canceled",
    });
  });
});

describe("a service that is not there", () => {
  it("is told from one that refuses", async () => {
    const store = await createAzureStore(
      { container: "container", endpoint: "http://127.0.0.1:1/test", ...ACCOUNT },
      { clock: impatientClock },
    );
    await expect(store.check(ctx)).rejects.toMatchObject({
      code: "Unavailable",
      message: "The blob service can not be reached; check the address and the network.",
    });
  });
});

describe("deleting many", () => {
  it("tells of each what became of it", async () => {
    const { store, service } = await start();
    for (const name of ["a", "b", "c"]) service.put(name, name);
    service.fail({
      when: ({ method, name }) => method === "DELETE" && name === "b",
      status: 403,
      code: "AuthorizationFailure",
    });
    const outcomes = await store.deleteMany(ctx, ["a", "b", "c", "none"]);
    expect(outcomes.map(({ key, error }) => [key, (error as { code?: string } | undefined)?.code])).toEqual([
      ["a", undefined],
      ["b", "PermissionDenied"],
      ["c", undefined],
      ["none", undefined],
    ]);
  });
});

describe("names", () => {
  it("of more than 1,024 characters, with the site's prefix, are too long", async () => {
    const { store } = await start();
    await expect(store.head(ctx, "x".repeat(1_024))).rejects.toMatchObject({ code: "NotFound" });
    const narrow = await createAzureStore({
      container: "container",
      endpoint: "http://127.0.0.1:1/test",
      prefix: "p".repeat(100),
      ...ACCOUNT,
    });
    await expect(narrow.head(ctx, "x".repeat(924))).rejects.toMatchObject({ code: "KeyTooLong" });
    await expect(narrow.head(ctx, "x".repeat(923))).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("are signed for others for a second to a week, and only with the account's key", async () => {
    const { store } = await start();
    const ask = (expiresSeconds: number): Promise<string> =>
      store.presign(ctx, "key", { method: "GET", expiresSeconds });
    for (const seconds of [0, 604_801, 1.5])
      await expect(ask(seconds)).rejects.toMatchObject({ code: "InvalidArgument" });
    for (const seconds of [1, 604_800]) expect(await ask(seconds)).toContain("/container/key?");
    const bySas = await createAzureStore({ container: "container", endpoint: "http://127.0.0.1:1/test", sas: "?sv=1" });
    expect(bySas.capabilities.presign).toBe(false);
    await expect(bySas.presign(ctx, "key", { method: "GET", expiresSeconds: 60 })).rejects.toMatchObject({
      code: "Unsupported",
    });
  });
});
