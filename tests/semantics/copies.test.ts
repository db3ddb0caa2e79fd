import { expect } from "vitest";
import { bodyAt, readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { createChecksum } from "../../src/core/checksums.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, recordFetches } from "./setting.ts";
import { bytesOf, complete, md5, s3CodeOf, sendPart } from "./upload-setting.ts";

const TWO = { one: "primary", two: "primary" } as const;

everywhere(
  "C1 a copy is made by the sites that hold the source, without a byte of it passing through",
  async ({ start }) => {
    const rig = await start(TWO);
    const body = bytesOf(200_000);
    await rig.put("b/from", body, { md5Etag: true, contentType: "a/b", metadata: { k: "v" } });
    const fetches = recordFetches(rig.sites);
    const copied = await rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "c/to" });
    expect(fetches).toEqual([]);
    expect(copied).toMatchObject({ created: true, source: { etag: md5(body) } });
    expect(copied.meta).toMatchObject({
      etag: md5(body),
      sizeBytes: 200_000,
      contentType: "a/b",
      metadata: { k: "v" },
    });
    expect((await readAll(rig.coordinator, "c/to")).equals(body)).toBe(true);
    for (const site of [rig.sites.one, rig.sites.two]) {
      const info = await site.head(rigCtx, "c/to");
      expect(info.metadata["globalfs-version"]).toBe(copied.meta.versionId);
      expect(info.sizeBytes).toBe(200_000);
    }
  },
);

everywhere("C1 a site that lacks the source, or cannot copy it, gets the bytes from another", async ({ start }) => {
  const rig = await start(TWO);
  const body = bytesOf(300_000);
  await rig.put("b/from", body, { md5Etag: true });
  await rig.sites.two.delete(rigCtx, "b/from");
  await rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "b/to" });
  for (const site of [rig.sites.one, rig.sites.two]) expect(await bodyAt(site, "b/to")).toBe(body.toString());
});

everywhere("C1 a copy onto itself keeps the bytes under a new version", async ({ start }) => {
  const rig = await start(TWO);
  const first = await rig.put("b/x", "bytes", { metadata: { a: "1" } });
  const again = await rig.coordinator.copyObject(rigCtx, {
    from: { key: "b/x" },
    key: "b/x",
    replace: { metadata: { a: "2" }, contentType: "x/y" },
  });
  expect(again.created).toBe(false);
  expect(again.meta.versionId).not.toBe(first.meta.versionId);
  expect(again.meta).toMatchObject({ metadata: { a: "2" }, contentType: "x/y", etag: first.meta.etag });
  expect(await rig.read("b/x")).toBe("bytes");
});

everywhere("C1 copies in opposite directions do not wait for each other", async ({ start }) => {
  const rig = await start(TWO);
  await rig.put("b/one", "1");
  await rig.put("b/two", "2");
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const [from, to] = index % 2 === 0 ? (["b/one", "b/two"] as const) : (["b/two", "b/one"] as const);
      return await rig.coordinator.copyObject(rigCtx, { from: { key: from }, key: to });
    }),
  );
  const bodies = [await rig.read("b/one"), await rig.read("b/two")];
  for (const body of bodies) expect(["1", "2"]).toContain(body);
});

everywhere("C2 a copy that fails at one site shows at none", async ({ start }) => {
  const rig = await start(TWO);
  await rig.put("b/from", "source");
  await rig.put("b/old", "old");
  rig.sites.two.failing.add("copy");
  expect(await codeOf(rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "b/new" }))).toBe(
    "Unavailable",
  );
  expect(await codeOf(rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "b/old" }))).toBe(
    "Unavailable",
  );
  rig.sites.two.failing.clear();
  await rig.settled();
  expect(await codeOf(rig.read("b/new"))).toBe("NotFound");
  expect(await bodyAt(rig.sites.one, "b/new")).toBe(undefined);
  expect(await rig.read("b/old")).toBe("old");
  for (const site of [rig.sites.one, rig.sites.two]) expect(await bodyAt(site, "b/old")).toBe("old");
});

everywhere("C2 conditions on the source and on the target are held", async ({ start }) => {
  const rig = await start(TWO);
  const { meta } = await rig.put("b/from", "source");
  await rig.put("b/there", "there");
  const copy = (
    key: string,
    source: { ifMatch?: string[]; ifNoneMatch?: string[] },
    target?: { ifMatch?: string[]; ifNoneMatch?: string[] },
  ): Promise<string> =>
    codeOf(
      rig.coordinator.copyObject(rigCtx, {
        from: { key: "b/from", conditions: source },
        key,
        ...(target === undefined ? {} : { conditions: target }),
      }),
    );
  expect(await copy("b/1", { ifMatch: ["other"] })).toBe("PreconditionFailed");
  expect(await copy("b/1", { ifNoneMatch: [meta.etag] })).toBe("PreconditionFailed");
  expect(await copy("b/there", {}, { ifNoneMatch: ["*"] })).toBe("PreconditionFailed");
  expect(await copy("b/1", {}, { ifMatch: ["*"] })).toBe("PreconditionFailed");
  expect(await rig.read("b/there")).toBe("there");
  expect(await copy("b/1", { ifMatch: [meta.etag] }, { ifNoneMatch: ["*"] })).toBe("done");
  expect(await codeOf(rig.coordinator.copyObject(rigCtx, { from: { key: "b/none" }, key: "b/2" }))).toBe("NotFound");
});

everywhere(
  "C3 tags and headers are kept or replaced, and a checksum is kept where it is one of all bytes",
  async ({ start }) => {
    const rig = await start(TWO);
    const body = bytesOf(6_000);
    const sum = createChecksum("CRC32");
    sum.update(body);
    const checksum = { algorithm: "CRC32", kind: "full", value: sum.digest() } as const;
    await rig.put("b/from", body, {
      checksum: () => checksum,
      contentHeaders: { cacheControl: "no-store" },
      labels: { tags: { a: "b" }, accessList: "private" },
    });
    const kept = await rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "b/kept" });
    expect(kept.meta.details).toEqual({
      checksum,
      contentHeaders: { cacheControl: "no-store" },
      labels: { tags: { a: "b" } },
    });
    const sha = createChecksum("SHA256");
    sha.update(body);
    const changed = await rig.coordinator.copyObject(rigCtx, {
      from: { key: "b/from" },
      key: "b/changed",
      replace: { metadata: {}, contentHeaders: { contentLanguage: "de" } },
      tags: {},
      owner: "alice",
      checksumAlgorithm: "SHA256",
    });
    expect(changed.meta.details).toEqual({
      checksum: { algorithm: "SHA256", kind: "full", value: sha.digest() },
      contentHeaders: { contentLanguage: "de" },
      owner: "alice",
      labels: { tags: {} },
    });
    expect((await readAll(rig.coordinator, "b/changed")).equals(body)).toBe(true);
  },
);

everywhere(
  "C3 an object that came in parts is copied in one piece, without the checksum of its parts",
  async ({ start }) => {
    const rig = await start(TWO);
    const upload = await rig.coordinator.createUpload(rigCtx, {
      key: "b/from",
      checksum: { algorithm: "SHA1", kind: "composite" },
    });
    const body = bytesOf(70_000);
    await complete(rig, upload, [await sendPart(rig, upload, 1, body)]);
    const { meta } = await rig.coordinator.copyObject(rigCtx, { from: { key: "b/from" }, key: "b/to" });
    expect(meta.details?.checksum).toBe(undefined);
    expect(meta.details?.partCount).toBe(undefined);
    expect((await readAll(rig.coordinator, "b/to")).equals(body)).toBe(true);
  },
);

everywhere("C1 a part is copied from a range of an object", async ({ start }) => {
  const rig = await start(TWO);
  const body = bytesOf(100_000);
  await rig.put("b/from", body);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/to" });
  const place = { ...upload, partNumber: 2, from: { key: "b/from" } };
  const part = await rig.coordinator.copyPart(rigCtx, { ...place, range: { start: 10, end: 60_000 } });
  expect(part).toMatchObject({ sizeBytes: 59_990, etag: md5(body.subarray(10, 60_000)), sourceVersionId: "null" });
  expect(await s3CodeOf(rig.coordinator.copyPart(rigCtx, { ...place, range: { start: 10, end: 100_001 } }))).toBe(
    "RangeNotSatisfiable",
  );
  await complete(rig, upload, [part]);
  expect((await readAll(rig.coordinator, "b/to")).equals(body.subarray(10, 60_000))).toBe(true);
});

everywhere("C1 an older version is copied, and the copy is a version of its own", async ({ start }) => {
  const rig = await start(TWO);
  await rig.coordinator.createBucket(rigCtx, { name: "kept" });
  await rig.coordinator.changeBucket(rigCtx, "kept", { versioning: "enabled" });
  const first = await rig.put("kept/x", "first");
  await rig.put("kept/x", "second");
  const fetches = recordFetches(rig.sites);
  const copied = await rig.coordinator.copyObject(rigCtx, {
    from: { key: "kept/x", versionId: first.meta.versionId },
    key: "kept/x",
  });
  expect(fetches).toEqual([]);
  expect(copied.meta.versionId).not.toBe(first.meta.versionId);
  expect(await rig.read("kept/x")).toBe("first");
  const { entries } = await rig.coordinator.listVersions(rigCtx, { prefix: "kept/x", limit: 10 });
  expect(entries).toHaveLength(3);
});

/** These five bytes, turned over anywhere in a body, leave its CRC32C as it was: they are the polynomial itself. */
const UNSEEN_BY_CRC32C = [0xf1, 0x76, 0xec, 0x05, 0x01];

everywhere("C2 a copy whose SHA-256 differs is refused, also where a shorter sum says nothing", async ({ start }) => {
  const rig = await start({ one: "primary" });
  const body = Buffer.from("0123456789".repeat(100));
  await rig.put("b/from", body);
  const rotten = Buffer.from(body);
  UNSEEN_BY_CRC32C.forEach((byte, index) => (rotten[500 + index] = (rotten[500 + index] as number) ^ byte));
  const crc32c = (bytes: Uint8Array): string => {
    const sum = createChecksum("CRC32C");
    sum.update(bytes);
    return sum.digest();
  };
  expect(crc32c(rotten)).toBe(crc32c(body));
  const get = rig.sites.one.get.bind(rig.sites.one);
  rig.sites.one.get = async (ctx, key, options) => {
    const opened = await get(ctx, key, options);
    return key === "b/from" ? { ...opened, stream: piecesOf(rotten) } : opened;
  };
  const copying = rig.coordinator.copyObject(rigCtx, {
    from: { key: "b/from" },
    key: "b/to",
    checksumAlgorithm: "SHA1",
  });
  await expect(copying).rejects.toMatchObject({ code: "DataCorrupt" });
  expect(await codeOf(rig.coordinator.headObject(rigCtx, "b/to"))).toBe("NotFound");
  expect(await bodyAt(rig.sites.one, "b/to")).toBeUndefined();
});

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
