import { describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, chunksOf, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

const TWO = { one: "primary", two: "primary" } as const;
type Sites = keyof typeof TWO;
const MIB = 1024 ** 2;

async function send(rig: TimedRig<Sites>, uploadId: string, partNumber: number, body: string) {
  const bytes = Buffer.from(body);
  return await rig.coordinator.putPart(rigCtx, {
    key: "x",
    uploadId,
    partNumber,
    sizeBytes: bytes.length,
    body: chunksOf(bytes),
  });
}

async function complete(rig: TimedRig<Sites>, uploadId: string, etags: readonly string[]) {
  const parts = etags.map((etag, index) => ({ partNumber: index + 1, etag }));
  return await rig.coordinator.completeUpload(rigCtx, { key: "x", uploadId, parts });
}

const listOf = async (rig: TimedRig<Sites>): Promise<string[]> =>
  (await rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 })).uploads.map(({ uploadId }) => uploadId);

function countCalls(store: FlakyStore, operation: "abortMultipart" | "createMultipart"): () => number {
  let calls = 0;
  const original = store[operation] as (...args: unknown[]) => Promise<unknown>;
  Object.assign(store, {
    [operation]: async (...args: unknown[]) => {
      calls += 1;
      return await original(...args);
    },
  });
  return () => calls;
}

describe("an upload that one site does not begin", () => {
  it("is begun at none, and the caller hears which site it was", async () => {
    const rig = await startTimed(TWO);
    const aborted = countCalls(rig.sites.one, "abortMultipart");
    rig.sites.two.failing.add("createMultipart");
    await expect(rig.coordinator.createUpload(rigCtx, { key: "x" })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("two") as string,
    });
    expect([aborted(), await listOf(rig)]).toEqual([1, []]);
  });

  it("because that site takes no uploads in parts says what to do instead", async () => {
    const rig = await startTimed(TWO);
    const { multipart: _, ...capabilities } = rig.sites.two.capabilities;
    Object.assign(rig.sites.two, { capabilities });
    await expect(rig.coordinator.createUpload(rigCtx, { key: "x" })).rejects.toMatchObject({
      code: "Unsupported",
      message: "Site two takes no uploads in parts; send the object in one piece.",
    });
    expect(await listOf(rig)).toEqual([]);
  });
});

describe("an upload that the catalog does not take", () => {
  it("stays open at no site", async () => {
    const rig = await startTimed(TWO);
    const aborted = [countCalls(rig.sites.one, "abortMultipart"), countCalls(rig.sites.two, "abortMultipart")];
    const { transact } = rig.kv;
    Object.assign(rig.kv, { transact: () => Promise.reject(new GfsError("NoSpace", "The catalog is full.")) });
    await expect(rig.coordinator.createUpload(rigCtx, { key: "x" })).rejects.toMatchObject({ code: "NoSpace" });
    Object.assign(rig.kv, { transact });
    expect(aborted.map((count) => count())).toEqual([1, 1]);
  });
});

describe("a part", () => {
  it("that a site does not take is not the part that was there before either", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const { etag } = await send(rig, uploadId, 1, "first");
    const { uploadPart } = rig.sites.two;
    rig.sites.two.uploadPart = async (...args) => {
      // It has taken the last byte when it fails, and nobody knows what it has now.
      for await (const chunk of args[3].open()) expect(chunk.byteLength).toBeGreaterThan(0);
      throw new GfsError("Unavailable", "The site is away.");
    };
    await expect(send(rig, uploadId, 1, "second")).rejects.toMatchObject({ code: "Unavailable" });
    rig.sites.two.uploadPart = uploadPart;
    expect((await rig.coordinator.listParts(rigCtx, { key: "x", uploadId, limit: 10 })).parts).toEqual([]);
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({ code: "InvalidArgument" });
    const again = await send(rig, uploadId, 1, "third");
    await complete(rig, uploadId, [again.etag]);
    expect([await bodyAt(rig.sites.one, "x"), await bodyAt(rig.sites.two, "x")]).toEqual(["third", "third"]);
  });

  it("may come in pieces without bytes", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const body = (async function* () {
      yield Buffer.alloc(0);
      yield Buffer.from("by");
      yield Buffer.alloc(0);
      yield Buffer.from("tes");
      yield Buffer.alloc(0);
    })();
    const { etag } = await rig.coordinator.putPart(rigCtx, { key: "x", uploadId, partNumber: 1, sizeBytes: 5, body });
    await complete(rig, uploadId, [etag]);
    expect(await rig.read("x")).toBe("bytes");
  });

  it("of an upload whose sites were all removed says that it is to be begun anew", async () => {
    const rig = await startTimed({ ...TWO, three: "backup" });
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    for (const site of ["one", "two"]) await rig.coordinator.removeSite(rigCtx, site, { force: true });
    await expect(send(rig as never, uploadId, 1, "bytes")).rejects.toMatchObject({
      code: "Unavailable",
      retry: "never",
      message: expect.stringContaining("(one, two); begin it anew") as string,
    });
  });
});

describe("completing an upload", () => {
  it("whose parts one site has lost goes on with the others that were not asked yet", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const { etag } = await send(rig, uploadId, 1, "bytes");
    const { completeMultipart } = rig.sites.two;
    rig.sites.two.completeMultipart = () => Promise.reject(new GfsError("NotFound", "There is no such upload."));
    rig.sites.one.failing.add("completeMultipart");
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({ code: "Unavailable" });
    rig.sites.two.completeMultipart = completeMultipart;
    rig.sites.one.failing.clear();
    await complete(rig, uploadId, [etag]);
    expect(await rig.read("x")).toBe("bytes");
    await rig.pass();
    expect([await bodyAt(rig.sites.one, "x"), await bodyAt(rig.sites.two, "x")]).toEqual(["bytes", "bytes"]);
  });

  it("whose parts one site has lost shows nothing at the other, where it had succeeded", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const { etag } = await send(rig, uploadId, 1, "bytes");
    rig.sites.two.completeMultipart = () => Promise.reject(new GfsError("NotFound", "There is no such upload."));
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("lost the parts of this upload") as string,
    });
    await expect(rig.read("x")).rejects.toMatchObject({ code: "NotFound" });
    await rig.pass();
    expect([await bodyAt(rig.sites.one, "x"), await listOf(rig)]).toEqual([undefined, []]);
  });

  it("whose parts every site has lost ends it", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const { etag } = await send(rig, uploadId, 1, "bytes");
    for (const site of Object.values(rig.sites))
      site.completeMultipart = () => Promise.reject(new GfsError("NotFound", "There is no such upload."));
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({ code: "Unavailable" });
    expect(await listOf(rig)).toEqual([]);
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({ code: "NotFound" });
    await expect(rig.read("x")).rejects.toMatchObject({ code: "NotFound" });
  });

  it("that landed at a site before its answer was lost is not done twice", async () => {
    const rig = await startTimed(TWO);
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const { etag } = await send(rig, uploadId, 1, "bytes");
    rig.sites.two.losingAnswers.add("completeMultipart");
    rig.sites.two.failing.add("head");
    await expect(complete(rig, uploadId, [etag])).rejects.toMatchObject({ code: "Unavailable" });
    rig.sites.two.losingAnswers.clear();
    rig.sites.two.failing.clear();
    await complete(rig, uploadId, [etag]);
    expect(await rig.read("x")).toBe("bytes");
    await rig.pass();
    expect([await bodyAt(rig.sites.one, "x"), await bodyAt(rig.sites.two, "x")]).toEqual(["bytes", "bytes"]);
  });

  it("of more bytes than an object may have is refused, and the upload stays", async () => {
    const rig = await startTimed(TWO, {
      overrides: {
        settings: {
          version: "0",
          clusterName: "t",
          maxObjectBytes: 6 * MIB,
          tombstoneRetentionMs: 60_000,
          stagingRetentionMs: 86_400_000,
          uploadRetentionMs: 7 * 86_400_000,
          housekeepingIntervalMs: 3_600_000,
        },
      },
    });
    const { uploadId } = await rig.coordinator.createUpload(rigCtx, { key: "x" });
    const whole = "x".repeat(5 * MIB);
    const etags = [
      (await send(rig, uploadId, 1, whole)).etag,
      (await send(rig, uploadId, 2, "y".repeat(2 * MIB))).etag,
    ];
    await expect(complete(rig, uploadId, etags)).rejects.toMatchObject({ code: "TooLarge" });
    expect(await listOf(rig)).toEqual([uploadId]);
    await complete(rig, uploadId, etags.slice(0, 1));
    expect((await rig.read("x")) === whole).toBe(true);
  });
});
