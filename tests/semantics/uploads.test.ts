import { expect, test } from "vitest";
import { readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { combineChecksums, compositeChecksum, createChecksum } from "../../src/core/checksums.ts";
import { World } from "../sim/crash/world.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, fileStores, Gate, keysOf } from "./setting.ts";
import { bytesOf, complete, md5, MIB, multipartEtag, s3CodeOf, sendPart } from "./upload-setting.ts";

const TWO = { one: "primary", two: "primary" } as const;

everywhere(
  "U1 parts of any sizes, their numbers with gaps, in any order, become one object when the upload is completed",
  async ({ start }) => {
    const rig = await start(TWO);
    const upload = await rig.coordinator.createUpload(rigCtx, {
      key: "bucket/deep/object",
      contentType: "a/b",
      metadata: { colour: "blue" },
    });
    const bodies = [bytesOf(5 * MIB + 3), bytesOf(6 * MIB), bytesOf(17)] as const;
    const [last, first] = [await sendPart(rig, upload, 70, bodies[2]), await sendPart(rig, upload, 3, bodies[0])];
    const middle = await sendPart(rig, upload, 9, bodies[1]);
    expect(await keysOf(rig)).toEqual([]);
    const done = await complete(rig, upload, [first, middle, last]);
    expect(done).toMatchObject({ created: true, pendingSites: [] });
    expect(done.meta).toMatchObject({
      sizeBytes: 11 * MIB + 20,
      etag: multipartEtag(bodies),
      contentType: "a/b",
      metadata: { colour: "blue" },
    });
    const whole = Buffer.concat(bodies);
    expect((await readAll(rig.coordinator, "bucket/deep/object")).equals(whole)).toBe(true);
    for (const site of [rig.sites.one, rig.sites.two])
      expect((await site.head(rigCtx, "bucket/deep/object")).sizeBytes).toBe(whole.length);
    expect(done.meta.details).toMatchObject({ partCount: 3 });
    const crc = createChecksum("CRC32C");
    crc.update(whole);
    expect(done.meta.details?.checksum).toEqual({ algorithm: "CRC32C", kind: "full", value: crc.digest() });
  },
);

everywhere("U1 some of the parts, and one that was sent anew, make an object", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  await sendPart(rig, upload, 1, bytesOf(5 * MIB));
  await sendPart(rig, upload, 2, bytesOf(MIB));
  const body = bytesOf(6 * MIB);
  const again = await sendPart(rig, upload, 1, body);
  expect(again.etag).toBe(md5(body));
  await complete(rig, upload, [again]);
  expect((await readAll(rig.coordinator, "b/x")).equals(body)).toBe(true);
});

everywhere("U1 an upload of one empty part is an empty object", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/empty" });
  await complete(rig, upload, [await sendPart(rig, upload, 1, Buffer.alloc(0))]);
  expect((await readAll(rig.coordinator, "b/empty")).length).toBe(0);
});

everywhere("U2 a part whose body is not the promised one leaves the part from before", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  const good = bytesOf(100_000);
  const part = await sendPart(rig, upload, 1, good);
  expect(await codeOf(sendPart(rig, upload, 1, bytesOf(90_000), { expected: { md5Hex: md5(good) } }))).toBe(
    "ChecksumMismatch",
  );
  expect(await codeOf(sendPart(rig, upload, 1, bytesOf(90_000), { expected: { sha256Hex: "0".repeat(64) } }))).toBe(
    "ChecksumMismatch",
  );
  expect(await codeOf(sendPart(rig, upload, 1, bytesOf(90_000), { sizeBytes: 90_001 }))).toBe("IncompleteBody");
  expect(await codeOf(sendPart(rig, upload, 1, bytesOf(90_000), { sizeBytes: 89_999 }))).toBe("IncompleteBody");
  const broken = (async function* () {
    yield bytesOf(10_000);
    throw new Error("The client went away.");
  })();
  expect(await codeOf(sendPart(rig, upload, 1, bytesOf(90_000), { body: broken }))).toBe("Internal");
  await complete(rig, upload, [part]);
  expect((await readAll(rig.coordinator, "b/x")).equals(good)).toBe(true);
});

everywhere("U2 a part that one site does not take is no part", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  rig.sites.two.failing.add("uploadPart");
  await expect(sendPart(rig, upload, 1, bytesOf(300_000))).rejects.toMatchObject({
    code: "Unavailable",
    context: { site: "two" },
  });
  expect((await rig.coordinator.listParts(rigCtx, { ...upload, limit: 10 })).parts).toEqual([]);
  rig.sites.two.failing.clear();
  const body = bytesOf(200_000);
  await complete(rig, upload, [await sendPart(rig, upload, 1, body)]);
  expect((await readAll(rig.coordinator, "b/x")).equals(body)).toBe(true);
});

everywhere(
  "U2 of two parts of one number that race, the catalog and all sites keep the one that ended last",
  async ({ start }) => {
    const rig = await start(TWO);
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const [slow, fast] = [bytesOf(200_000), bytesOf(150_000)];
    const body = (async function* () {
      yield slow.subarray(0, 100_000);
      await sendPart(rig, upload, 1, fast);
      yield slow.subarray(100_000);
    })();
    const part = await sendPart(rig, upload, 1, slow, { body });
    expect((await rig.coordinator.listParts(rigCtx, { ...upload, limit: 10 })).parts).toEqual([part]);
    await complete(rig, upload, [part]);
    expect((await readAll(rig.coordinator, "b/x")).equals(slow)).toBe(true);
    const other = await rig.sites.two.get(rigCtx, "b/x");
    expect(other.info.sizeBytes).toBe(slow.length);
    other.cancel();
  },
);

everywhere("U3 completing says what of the parts is wrong", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  const small = await sendPart(rig, upload, 1, bytesOf(100));
  const other = await sendPart(rig, upload, 2, bytesOf(100));
  expect(await s3CodeOf(complete(rig, upload, [other, small]))).toBe("InvalidPartOrder");
  expect(await s3CodeOf(complete(rig, upload, [small, other, small]))).toBe("InvalidPartOrder");
  expect(await s3CodeOf(complete(rig, upload, [small, { ...small, etag: other.etag }]))).toBe("InvalidPart");
  expect(await s3CodeOf(complete(rig, upload, [small, other]))).toBe("EntityTooSmall");
  expect(await s3CodeOf(complete(rig, upload, [{ ...small, etag: other.etag }]))).toBe("InvalidPart");
  expect(await s3CodeOf(complete(rig, upload, [{ ...small, partNumber: 3 }]))).toBe("InvalidPart");
  expect(await s3CodeOf(complete(rig, upload, []))).toBe("MalformedXML");
  expect(await s3CodeOf(complete(rig, upload, [small], { sizeBytes: 99 }))).toBe("InvalidRequest");
  expect(await s3CodeOf(complete(rig, { ...upload, key: "b/y" }, [small]))).toBe("NoSuchUpload");
  expect(await keysOf(rig)).toEqual([]);
  expect(await s3CodeOf(complete(rig, upload, [small], { sizeBytes: 100 }))).toBe("done");
});

everywhere("U3 checksums of all bytes and of the parts' checksums are compared and kept", async ({ start }) => {
  const rig = await start({ one: "primary" });
  const bodies = [bytesOf(5 * MIB), bytesOf(77)] as const;
  for (const { algorithm, kind } of [
    { algorithm: "CRC64NVME", kind: "full" },
    { algorithm: "CRC32", kind: "full" },
    { algorithm: "CRC32C", kind: "composite" },
    { algorithm: "SHA256", kind: "composite" },
  ] as const) {
    const key = `b/${algorithm}`;
    const upload = await rig.coordinator.createUpload(rigCtx, { key, checksum: { algorithm, kind } });
    const sums = bodies.map((body) => {
      const sum = createChecksum(algorithm);
      sum.update(body);
      return sum.digest();
    });
    const wrong = { algorithm, kind: "full", value: sums[1] as string } as const;
    expect(await codeOf(sendPart(rig, upload, 1, bodies[0], { checksum: () => wrong }))).toBe("ChecksumMismatch");
    const parts = [await sendPart(rig, upload, 1, bodies[0]), await sendPart(rig, upload, 2, bodies[1])];
    expect(parts.map((part) => part.checksum)).toEqual(sums);
    const value =
      kind === "composite"
        ? compositeChecksum(algorithm, sums)
        : combineChecksums(
            algorithm,
            sums.map((sum, index) => ({ value: sum, sizeBytes: (bodies[index] as Buffer).length })),
          );
    expect(await codeOf(complete(rig, upload, parts, { checksum: sums[0] as string }))).toBe("ChecksumMismatch");
    const { meta } = await complete(rig, upload, parts, { checksum: value });
    expect(meta.details?.checksum).toEqual({ algorithm, kind, value });
  }
  expect(
    await s3CodeOf(rig.coordinator.createUpload(rigCtx, { key: "b/y", checksum: { algorithm: "SHA1", kind: "full" } })),
  ).toBe("InvalidRequest");
});

everywhere(
  "U3 conditions hold: of two writers with If-None-Match one wins, and the other may go on",
  async ({ start }) => {
    const rig = await start(TWO);
    const uploads = await Promise.all(
      [0, 1].map(async () => await rig.coordinator.createUpload(rigCtx, { key: "b/x" })),
    );
    const parts = await Promise.all(uploads.map(async (upload) => [await sendPart(rig, upload, 1, bytesOf(1_000))]));
    const outcomes = await Promise.all(
      uploads.map(
        async (upload, index) =>
          await codeOf(complete(rig, upload, parts[index] ?? [], { conditions: { ifNoneMatch: ["*"] } })),
      ),
    );
    expect(outcomes.sort()).toEqual(["PreconditionFailed", "done"]);
    // The one that lost is still there, and may be completed on other terms.
    const { uploads: left } = await rig.coordinator.listUploads(rigCtx, { prefix: "b/", limit: 10 });
    expect(left).toHaveLength(1);
    const lost = uploads.findIndex(({ uploadId }) => uploadId === left[0]?.uploadId);
    expect(await codeOf(complete(rig, left[0] as (typeof left)[0], parts[lost] ?? []))).toBe("done");
  },
);

everywhere(
  "U4 completing again gives the same answer for a day, and an abort comes too late",
  async ({ startTimed }) => {
    const rig = await startTimed(TWO);
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const parts = [await sendPart(rig, upload, 1, bytesOf(1_000))];
    const [one, other] = await Promise.all([complete(rig, upload, parts), complete(rig, upload, parts)]);
    expect(other).toEqual(one);
    await rig.put("b/x", "newer");
    expect(await complete(rig, upload, parts)).toEqual(one);
    expect(await rig.read("b/x")).toBe("newer");
    expect(await s3CodeOf(rig.coordinator.abortUpload(rigCtx, upload))).toBe("NoSuchUpload");
    await rig.away(86_400_000 + 3_600_001);
    await rig.settled();
    expect(await s3CodeOf(complete(rig, upload, parts))).toBe("NoSuchUpload");
  },
);

everywhere("U4 a site whose answer was lost is asked what it has", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  const body = bytesOf(3_000);
  const parts = [await sendPart(rig, upload, 1, body)];
  rig.sites.two.losingAnswers.add("completeMultipart");
  await complete(rig, upload, parts);
  expect((await readAll(rig.coordinator, "b/x")).equals(body)).toBe(true);
});

everywhere(
  "U4 when one site fails the old version stands, and the next attempt succeeds with the others",
  async ({ start }) => {
    const rig = await start(TWO);
    await rig.put("b/x", "old");
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const body = bytesOf(3_000);
    const parts = [await sendPart(rig, upload, 1, body)];
    rig.sites.two.failing.add("completeMultipart");
    expect(await codeOf(complete(rig, upload, parts))).toBe("Unavailable");
    rig.sites.two.failing.clear();
    await rig.settled();
    expect(await rig.read("b/x")).toBe("old");
    await complete(rig, upload, parts);
    await rig.settled();
    expect((await readAll(rig.coordinator, "b/x")).equals(body)).toBe(true);
    for (const site of [rig.sites.one, rig.sites.two]) expect((await site.head(rigCtx, "b/x")).sizeBytes).toBe(3_000);
  },
);

test("U8 a completion whose process died never lands later by itself, and is completed by whoever asks for it again", async () => {
  for (const [change, wanted] of [
    [undefined, "old"],
    ["put", "newer"],
    ["delete", undefined],
  ] as const) {
    const world = new World({ sites: TWO });
    await world.start();
    await world.put("b/x", "old");
    const upload = await world.rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const part = await sendPart(world.rig, upload, 1, Buffer.from("uploaded"));
    // The first site has made its object, and the process is dead.
    await world.start({ step: 1, moment: "after" });
    world.life.startCounting();
    await codeOf(complete(world.rig, upload, [part]));
    expect(world.life.isDead).toBe(true);
    await world.start();
    if (change === "put") await world.put("b/x", "newer");
    if (change === "delete") await world.rig.coordinator.deleteObject(rigCtx, "b/x");
    for (let turn = 0; turn < 3; turn++) await world.settle();
    expect((await world.files()).get("b/x")).toBe(wanted);
    expect(await codeOf(complete(world.rig, upload, [part]))).toBe("done");
    await world.settle();
    expect((await world.files()).get("b/x")).toBe("uploaded");
  }
});

everywhere(
  "U5 an aborted upload is gone, however often it is aborted, also for a part that is coming in",
  async ({ start }) => {
    const rig = await start(TWO);
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const part = await sendPart(rig, upload, 1, bytesOf(1_000));
    const gate = new Gate();
    const body = (async function* () {
      yield bytesOf(500);
      await gate.pass();
      yield bytesOf(500);
    })();
    const late = sendPart(rig, upload, 2, bytesOf(1_000), { body });
    await gate.reached;
    await rig.coordinator.abortUpload(rigCtx, upload);
    await rig.coordinator.abortUpload(rigCtx, upload);
    gate.open();
    expect(await s3CodeOf(late)).toBe("NoSuchUpload");
    expect(await s3CodeOf(complete(rig, upload, [part]))).toBe("NoSuchUpload");
    expect(await s3CodeOf(rig.coordinator.findUpload(rigCtx, upload))).toBe("NoSuchUpload");
    expect(await s3CodeOf(rig.coordinator.abortUpload(rigCtx, { key: "b/x", uploadId: "no-such" }))).toBe(
      "NoSuchUpload",
    );
    expect(await rig.sites.one.sweep(rigCtx, -1)).toBe(0);
    expect(await keysOf(rig)).toEqual([]);
  },
);

everywhere("U5 of an abort and a completion that race exactly one wins", async ({ start }) => {
  const rig = await start(TWO);
  for (let round = 0; round < 8; round++) {
    const upload = await rig.coordinator.createUpload(rigCtx, { key: `b/${round}` });
    const part = await sendPart(rig, upload, 1, bytesOf(100));
    const attempts = [() => complete(rig, upload, [part]), () => rig.coordinator.abortUpload(rigCtx, upload)];
    if (round % 2 === 1) attempts.reverse();
    const outcomes = await Promise.all(attempts.map(async (attempt) => await s3CodeOf(attempt())));
    expect(outcomes.sort()).toEqual(["NoSuchUpload", "done"]);
  }
});

everywhere(
  "U6 an old upload is given up, while one that is still wanted stays however old its site finds it",
  async ({ startTimed }) => {
    const rig = await startTimed({ one: "primary" });
    const old = await rig.coordinator.createUpload(rigCtx, { key: "b/old" });
    await sendPart(rig, old, 1, bytesOf(10));
    await rig.away(5 * 86_400_000);
    await rig.settled();
    const young = await rig.coordinator.createUpload(rigCtx, { key: "b/young" });
    const part = await sendPart(rig, young, 1, bytesOf(10));
    expect((await rig.coordinator.listUploads(rigCtx, { prefix: "b/", limit: 10 })).uploads).toHaveLength(2);
    await rig.away(2 * 86_400_000 + 3_600_001);
    await rig.settled();
    expect((await rig.coordinator.listUploads(rigCtx, { prefix: "b/", limit: 10 })).uploads).toEqual([young]);
    await complete(rig, young, [part]);
    expect(await rig.sites.one.sweep(rigCtx, -1)).toBe(0);
  },
  120_000,
);

everywhere(
  "U6 an upload goes with its bucket, and stays where the directory was only there for its files",
  async ({ startTimed }) => {
    const rig = await startTimed({ one: "primary" });
    await rig.put("made/", "");
    await rig.put("there/file", "x");
    await rig.coordinator.createUpload(rigCtx, { key: "made/upload" });
    const kept = await rig.coordinator.createUpload(rigCtx, { key: "there/upload" });
    await rig.clock.advance(3_600_001);
    expect((await rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 })).uploads).toHaveLength(2);
    await rig.coordinator.deleteObject(rigCtx, "made/");
    await rig.coordinator.deleteObject(rigCtx, "there/file");
    await rig.clock.advance(3_600_001);
    await rig.settled();
    expect((await rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 })).uploads).toEqual([kept]);
  },
);

everywhere(
  "U1 a version that came in parts is held against its checksum when it is copied to another site",
  async ({ start }) => {
    const rig = await start({ one: "primary", two: "burst" });
    for (const name of rig.primaries) {
      const site = rig.sites[name];
      const get = site.get.bind(site);
      // One bit turns on the way, and neither size nor ETag tell of it.
      site.get = async (ctx, key, options) => {
        const body = await get(ctx, key, options);
        return { ...body, stream: turned(body.stream) };
      };
    }
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    await complete(rig, upload, [await sendPart(rig, upload, 1, bytesOf(5_000))]);
    await rig.settled();
    const { copies } = await rig.coordinator.explain(rigCtx, "b/x");
    expect(copies.find(({ site }) => site === "two")?.state).not.toBe("present");
    expect(await codeOf(rig.sites.two.head(rigCtx, "b/x"))).toBe("NotFound");
  },
);

async function* turned(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    const changed = Buffer.from(chunk);
    changed[0] = (changed[0] ?? 0) ^ 1;
    yield changed;
  }
}

everywhere(
  "U1 on disks, too, with parts that fit and parts that do not, and what the object is explains itself",
  async ({ start }) => {
    const rig = await start(TWO, { openStore: await fileStores() });
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    const bodies = [bytesOf(5 * MIB), bytesOf(5 * MIB), bytesOf(6 * MIB), bytesOf(10)] as const;
    const [four, two] = [await sendPart(rig, upload, 4, bodies[3]), await sendPart(rig, upload, 2, bodies[1])];
    const parts = [await sendPart(rig, upload, 1, bodies[0]), two, await sendPart(rig, upload, 3, bodies[2]), four];
    const { meta } = await complete(rig, upload, parts);
    expect((await readAll(rig.coordinator, "b/x")).equals(Buffer.concat(bodies))).toBe(true);
    for (const site of [rig.sites.one, rig.sites.two]) {
      expect((await site.head(rigCtx, "b/x")).metadata).toMatchObject({
        "globalfs-etag": meta.etag,
        "globalfs-checksum": `CRC32C:full:${meta.details?.checksum?.value}`,
      });
    }
  },
);

everywhere(
  "U2 parts that arrive while the upload is completed are in it or not, and the object is whole",
  async ({ start }) => {
    const rig = await start(TWO, { openStore: await fileStores() });
    for (let round = 0; round < 10; round++) {
      const upload = await rig.coordinator.createUpload(rigCtx, { key: `b/${round}` });
      const body = bytesOf(40_000);
      const first = await sendPart(rig, upload, 1, body);
      const racing = [bytesOf(40_000), bytesOf(30_000)].map(
        async (other) => await s3CodeOf(sendPart(rig, upload, 1, other)),
      );
      const outcome = await s3CodeOf(complete(rig, upload, [first]));
      for (const code of await Promise.all(racing)) expect(["done", "NoSuchUpload"]).toContain(code);
      expect(["done", "InvalidPart"]).toContain(outcome);
      if (outcome === "done") expect((await readAll(rig.coordinator, `b/${round}`)).equals(body)).toBe(true);
      else await rig.coordinator.abortUpload(rigCtx, upload);
    }
  },
);

everywhere("U1 in a bucket that keeps versions every completed upload is a version of its own", async ({ start }) => {
  const rig = await start(TWO);
  await rig.coordinator.createBucket(rigCtx, { name: "kept" });
  await rig.coordinator.changeBucket(rigCtx, "kept", { versioning: "enabled" });
  const bodies = [bytesOf(2_000), bytesOf(3_000)] as const;
  const ids: string[] = [];
  const uploads = await Promise.all(
    bodies.map(async () => await rig.coordinator.createUpload(rigCtx, { key: "kept/x" })),
  );
  // The one that began last is completed first: versions are in the order of their completion.
  for (const index of [1, 0] as const) {
    const upload = uploads[index] as (typeof uploads)[0];
    const { meta } = await complete(rig, upload, [await sendPart(rig, upload, 1, bodies[index])]);
    expect(meta.details?.versioned).toBe(true);
    ids.unshift(meta.versionId);
  }
  expect((await readAll(rig.coordinator, "kept/x")).equals(bodies[0])).toBe(true);
  const { entries } = await rig.coordinator.listVersions(rigCtx, { prefix: "kept/x", limit: 10 });
  expect(entries.map(({ versionId, isLatest }) => [versionId, isLatest])).toEqual([
    [ids[0], true],
    [ids[1], false],
  ]);
  expect(await rig.coordinator.versionParts(rigCtx, "kept/x", { versionId: ids[1] as string })).toEqual([
    { partNumber: 1, sizeBytes: 3_000 },
  ]);
});

everywhere("U1 an upload that began before its bucket kept versions overwrites none", async ({ start }) => {
  const rig = await start(TWO);
  await rig.coordinator.createBucket(rigCtx, { name: "kept" });
  await rig.put("kept/x", "before");
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "kept/x" });
  const part = await sendPart(rig, upload, 1, Buffer.from("uploaded"));
  await rig.coordinator.changeBucket(rigCtx, "kept", { versioning: "enabled" });
  await complete(rig, upload, [part]);
  expect(await rig.read("kept/x")).toBe("uploaded");
  const before = await rig.coordinator.readObject(rigCtx, "kept/x", { versionId: "null" });
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await before.open()).stream) chunks.push(Buffer.from(chunk));
  expect(Buffer.concat(chunks).toString()).toBe("before");
});

everywhere("U1 a site that is removed meanwhile is left out", async ({ start }) => {
  const rig = await start(TWO);
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  const bodies = [bytesOf(5 * MIB), bytesOf(9)] as const;
  const first = await sendPart(rig, upload, 1, bodies[0]);
  await rig.coordinator.removeSite(rigCtx, "two");
  const done = await complete(rig, upload, [first, await sendPart(rig, upload, 2, bodies[1])]);
  expect(done.meta.sizeBytes).toBe(5 * MIB + 9);
  expect((await rig.coordinator.explain(rigCtx, "b/x")).copies.map(({ site }) => site)).toEqual(
    rig.primaries.filter((name) => name !== "two"),
  );
});
