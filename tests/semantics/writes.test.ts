import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { expect } from "vitest";
import { bodyAt, chunksOf, readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { GfsError } from "../../src/core/errors.ts";
import { serveInProcess } from "../../src/cli/testing/served.ts";
import type { ObjectInfo } from "../../src/stores/index.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, fileStores, Gate, jobsIn, keysOf } from "./setting.ts";

const TWO_PRIMARIES = { local: "primary", second: "primary", cloud: "burst" } as const;
const ONE_PRIMARY = { local: "primary", cloud: "burst" } as const;

everywhere("W2 An acknowledged PUT has its bytes at every required site", async ({ start }) => {
  const { put, sites } = await start(TWO_PRIMARIES, { openStore: await fileStores() });
  sites.cloud.failing.add("*");
  const body = "0123456789".repeat(50_000);
  const { meta } = await put("d/x", body);
  expect(meta.sha256).toBe(createHash("sha256").update(body).digest("hex"));
  expect([await bodyAt(sites.local, "d/x"), await bodyAt(sites.second, "d/x")]).toEqual([body, body]);
  for (const site of [sites.local, sites.second]) expect((await site.head(rigCtx, "d/x")).sha256).toBe(meta.sha256);
  sites.second.failing.add("commit");
  expect(await codeOf(put("d/x", "newer"))).toBe("Unavailable");
});

everywhere("W2 A site that says it holds something else than was sent fails the PUT", async ({ start }) => {
  const { put, read, settled, sites } = await start(TWO_PRIMARIES, { openStore: await fileStores() });
  await put("x", "old");
  await settled();
  const stage = sites.second.stage.bind(sites.second);
  const said = [
    (info: ObjectInfo) => ({ ...info, sizeBytes: 2 }),
    (info: ObjectInfo) => ({ ...info, sha256: "0".repeat(64) }),
  ];
  for (const change of said) {
    sites.second.stage = async (...args) => {
      const staged = await stage(...args);
      return { ...staged, commit: async (...more) => change(await staged.commit(...more)) };
    };
    await expect(put("x", "new")).rejects.toMatchObject({
      code: "DataCorrupt",
      message: expect.stringContaining("second") as string,
    });
    sites.second.stage = stage;
    expect(await read("x")).toBe("old");
    await settled();
    expect([await bodyAt(sites.local, "x"), await bodyAt(sites.second, "x")]).toEqual(["old", "old"]);
  }
});

for (const operation of ["stage", "write", "seal", "commit"])
  everywhere(`W3 A PUT that fails changes nothing, in ${operation}`, async ({ start }) => {
    const { coordinator, put, read, sites, settled } = await start(TWO_PRIMARIES);
    const { meta } = await put("x", "old");
    await settled();
    for (const site of [sites.local, sites.second]) {
      site.failing.add(operation);
      expect(await codeOf(put("x", "new"))).toBe("Unavailable");
      expect(await codeOf(put("fresh", "new"))).toBe("Unavailable");
      site.failing.clear();
      for (let look = 0; look < 2; look++) {
        expect(await read("x")).toBe("old");
        expect((await coordinator.headObject(rigCtx, "x")).meta).toEqual(meta);
        expect(await codeOf(read("fresh"))).toBe("NotFound");
        expect((await coordinator.listObjects(rigCtx, { limit: 10 })).objects).toEqual([meta]);
        await settled();
      }
    }
    for (const site of Object.values(sites))
      expect([await bodyAt(site, "x"), await bodyAt(site, "fresh")]).toEqual(["old", undefined]);
  });

for (const [finder, end] of [
  ["reader", "fails"],
  ["reader", "succeeds"],
  ["import", "fails"],
  ["import", "succeeds"],
])
  everywhere(
    `W3 A new object that a ${finder} finds at a site while its PUT goes on, which ${end}`,
    async ({ start }) => {
      const setting = await start(TWO_PRIMARIES);
      const { coordinator, put, read, settled, sites } = setting;
      const gate = new Gate();
      sites.second.beforeCommit = gate.pass;
      const putting = codeOf(put("d/new", "new"));
      await gate.reached;
      await expect.poll(async () => await bodyAt(sites.local, "d/new")).toBe("new");
      const importing = async (): Promise<void> => {
        for await (const _ of coordinator.importSite(rigCtx, { site: "local" })) {
          // Only the effect counts.
        }
      };
      const finding = codeOf(finder === "reader" ? coordinator.headObject(rigCtx, "d/new") : importing());
      // Time enough for it to find what there is.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (end === "fails") sites.second.failing.add("commit");
      gate.open();
      const failed = end === "fails";
      expect(await putting).toBe(failed ? "Unavailable" : "done");
      sites.second.failing.clear();
      expect(await finding).toBe(failed && finder === "reader" ? "NotFound" : "done");
      await settled();
      expect(await codeOf(read("d/new"))).toBe(failed ? "NotFound" : "done");
      expect(await keysOf(setting)).toEqual(failed ? [] : ["d/new"]);
      for (const site of Object.values(sites)) expect(await bodyAt(site, "d/new")).toBe(failed ? undefined : "new");
    },
  );

everywhere("W4 Readers see the old version or the new one, whole, while PUTs go on", async ({ start }) => {
  const { coordinator, put, sites } = await start(ONE_PRIMARY, { openStore: await fileStores() });
  const bodyOf = (version: number): Buffer => Buffer.alloc(300_000 + version * 1_000, `${version};`);
  await put("x", bodyOf(0));
  let acknowledged = 0;
  let done = false;
  const seen = new Set<number>();
  const reader = async (): Promise<void> => {
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- It changes while this waits.
    while (!done) {
      // What comes from memory waits for nothing; a writer has its turn all the same.
      await new Promise((resolve) => setImmediate(resolve));
      const atLeast = acknowledged;
      const bytes = await readAll(coordinator, "x");
      const version = Number.parseInt(bytes.toString("latin1", 0, 9), 10);
      expect(bytes.equals(bodyOf(version))).toBe(true);
      expect(version).toBeGreaterThanOrEqual(atLeast);
      seen.add(version);
    }
  };
  const readers = [reader(), reader(), reader()];
  for (let version = 1; version <= 15; version++) {
    await put("x", bodyOf(version), { body: chunksOf(bodyOf(version), 40_000) });
    acknowledged = version;
  }
  done = true;
  await Promise.all(readers);
  expect(seen.size).toBeGreaterThan(3);
  const gate = new Gate();
  sites.local.beforeCommit = gate.pass;
  const putting = put("x", "the last one");
  await gate.reached;
  expect((await readAll(coordinator, "x")).equals(bodyOf(15))).toBe(true);
  gate.open();
  await putting;
  expect((await readAll(coordinator, "x")).toString()).toBe("the last one");
});

everywhere("W5 A reader that has begun never gets bytes of another version", async ({ start }) => {
  const { coordinator, put, sites, settled } = await start(ONE_PRIMARY, { openStore: await fileStores() });
  const old = Buffer.alloc(3_000_000, "old ");
  await put("x", old);
  await settled();
  const begin = async () => await coordinator.readObject(rigCtx, "x");
  const collect = async (read: Awaited<ReturnType<typeof begin>>, midway?: () => Promise<unknown>): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of (await read.open()).stream) {
      chunks.push(Buffer.from(chunk));
      if (chunks.length === 1) await midway?.();
    }
    return Buffer.concat(chunks);
  };
  // Replaced between two chunks.
  expect((await collect(await begin(), () => put("x", Buffer.alloc(3_000_000, "mid ")))).equals(old)).toBe(true);
  // Replaced between looking it up and opening it.
  const early = await begin();
  await put("x", Buffer.alloc(3_000_000, "new "));
  await settled();
  expect(await codeOf(collect(early))).toBe("Conflict");
  // Replaced while the stream is broken off and taken up again elsewhere.
  sites.local.truncateAfter = 1_000_000;
  const broken = collect(await begin(), async () => {
    await put("x", Buffer.alloc(3_000_000, "last"));
    sites.local.truncateAfter = undefined;
    await settled();
  });
  const outcome = await broken.then(
    (bytes) => new Set(bytes.toString("latin1").match(/.{4}/g)),
    (error: unknown) => (error as { code: string }).code,
  );
  expect([new Set(["new "]), "Conflict"]).toContainEqual(outcome);
});

everywhere("W6 Of several writers with the same condition exactly one succeeds", async ({ start }) => {
  const { put, read } = await start(TWO_PRIMARIES);
  const race = async (conditions: object, word: string): Promise<void> => {
    const writers = Array.from({ length: 8 }, (_, index) => `${word} ${index}`);
    const codes = await Promise.all(writers.map((body) => codeOf(put("x", body, { conditions }))));
    expect(codes.toSorted()).toEqual([...Array.from({ length: 7 }, () => "PreconditionFailed"), "done"]);
    expect(await read("x")).toBe(writers[codes.indexOf("done")]);
  };
  await race({ ifNoneMatch: ["*"] }, "absent");
  for (let round = 0; round < 3; round++) {
    const { meta } = await put("x", `base ${round}`);
    await race({ ifMatch: [meta.etag] }, `match ${round}`);
  }
});

everywhere(
  "W7 A body of another length or checksum than promised is refused and leaves the old version",
  async ({ start }) => {
    const { put, read, sites, settled } = await start(TWO_PRIMARIES);
    await put("x", "old");
    await settled();
    const body = "new bytes";
    const crc32cHex = crc32c(body).toString(16).padStart(8, "0");
    const right = {
      sizeBytes: body.length,
      expected: {
        md5Hex: createHash("md5").update(body).digest("hex"),
        sha256Hex: createHash("sha256").update(body).digest("hex"),
        crc32cHex,
      },
    };
    const wrong = {
      md5Hex: "0".repeat(32),
      sha256Hex: "0".repeat(64),
      crc32cHex: crc32cHex === "00000000" ? "1" : "00000000",
    };
    for (const sizeBytes of [0, body.length - 1, body.length + 1])
      expect(await codeOf(put("x", body, { ...right, sizeBytes }))).toBe("IncompleteBody");
    for (const [name, value] of Object.entries(wrong))
      expect(await codeOf(put("x", body, { expected: { ...right.expected, [name]: value } }))).toBe("ChecksumMismatch");
    const endsEarly = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      throw new GfsError("IncompleteBody", "The connection ended.");
    };
    expect(await codeOf(put("x", "", { body: endsEarly() }))).toBe("IncompleteBody");
    expect(await read("x")).toBe("old");
    for (const site of Object.values(sites)) expect(await bodyAt(site, "x")).toBe("old");
    await put("x", body, right);
    expect(await read("x")).toBe(body);
  },
);

everywhere(
  "W8 A PUT is 201 with a job for every other site, and 202 with the names of the sites that a full queue left out",
  async ({ prepare }) => {
    const { later, options, sites } = await prepare(ONE_PRIMARY, {
      overrides: {
        mover: {
          maxConcurrentTransfers: 2,
          transferChunkBytes: 1e6,
          maxQueuedJobs: 2,
          verify: "metadata",
          bandwidth: [],
        },
      },
    });
    const { cloud } = sites;
    cloud.failing.add("*");
    const { rig, url, stop } = await serveInProcess(options);
    try {
      const answers: unknown[] = [];
      for (let index = 0; index < 4; index++) {
        const response = await fetch(`${url}/api/v1/objects/k${index}`, { method: "PUT", body: "x" });
        const { pending_sites: pending } = (await response.json()) as { pending_sites?: string[] };
        answers.push([response.status, pending, (await jobsIn(rig, "waiting")).length > index]);
      }
      expect(answers).toEqual([
        [201, undefined, true],
        [201, undefined, true],
        [202, ["cloud"], false],
        [202, ["cloud"], false],
      ]);
      cloud.failing.clear();
      await later();
      for (let index = 0; index < 4; index++)
        await expect.poll(async () => await bodyAt(cloud, `k${index}`), { timeout: 10_000 }).toBe("x");
    } finally {
      await stop();
    }
  },
);
