import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { BLOCK_BYTES, FINEST_BLOCK_BYTES, blocksOfSpan, nextSum } from "../../core/block-sums.ts";
import type { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { blocksOf, type FileVersion, findFile } from "../../namespace/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { flakyStore } from "../testing/flaky-store.ts";
import { chunksOf, readAll, type Rig, rigCtx, startRig } from "../testing/rig.ts";

const bytesOf = (sizeBytes: number): Buffer => Buffer.from(seededRandom(sizeBytes).bytes(sizeBytes));

async function versionAt({ kv }: Rig, key: string): Promise<FileVersion> {
  const file = await kv.view((tx) => findFile(tx, key as FilePath));
  return file?.version as FileVersion;
}

/** Of every byte, in order and without a gap. */
function expectSums(version: FileVersion, body: Buffer): void {
  const blocks = blocksOfSpan(blocksOf(version) as NonNullable<FileVersion["blocks"]>, { start: 0, end: body.length });
  expect(blocks.map(({ start, end }) => [start, end]).flat()).toEqual(
    blocks.flatMap(({ start, end }, index) => [index === 0 ? 0 : (blocks[index - 1]?.end ?? start), end]),
  );
  expect(blocks.at(-1)?.end).toBe(body.length);
  for (const { start, end, sum } of blocks) expect(sum).toBe(nextSum(body, start, end - start, 0));
}

async function start(): Promise<Rig & { readonly local: ReturnType<typeof flakyStore> }> {
  const local = flakyStore(createMemoryStore());
  const rig = await startRig({
    sites: [
      { name: "local", role: "primary", store: local },
      { name: "archive", role: "backup" },
    ],
    overrides: { cache: { maxBytes: 1, ttlMs: 0 } },
  });
  onTestFinished(async () => await rig.stop());
  return { ...rig, local };
}

describe("sums of blocks", () => {
  it.each([1, FINEST_BLOCK_BYTES, FINEST_BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 40 * BLOCK_BYTES + 1])(
    "are kept of an object of %d bytes, and of its copy",
    async (sizeBytes) => {
      const rig = await start();
      const body = bytesOf(sizeBytes);
      await rig.put("a", body);
      await rig.coordinator.copyObject(rigCtx, { key: "b", from: { key: "a" } });
      await rig.coordinator.copyObject(rigCtx, { key: "c", from: { key: "a" }, checksumAlgorithm: "CRC64NVME" });
      for (const key of ["a", "b", "c"]) expectSums(await versionAt(rig, key), body);
      expect((await versionAt(rig, "a")).blocks === undefined).toBe(sizeBytes <= FINEST_BLOCK_BYTES);
    },
  );

  it("are those of the parts of an upload, wherever these begin", async () => {
    const rig = await start();
    const { coordinator } = rig;
    const bodies = [5 * BLOCK_BYTES + 3, 5 * BLOCK_BYTES, 5 * BLOCK_BYTES, 17].map(bytesOf);
    const { uploadId } = await coordinator.createUpload(rigCtx, { key: "u" });
    const parts = [];
    for (const [index, body] of bodies.entries()) {
      const { partNumber, etag } = await coordinator.putPart(rigCtx, {
        key: "u",
        uploadId,
        partNumber: index + 1,
        sizeBytes: body.length,
        body: chunksOf(body),
      });
      parts.push({ partNumber, etag });
    }
    await coordinator.completeUpload(rigCtx, { key: "u", uploadId, parts });
    const whole = Buffer.concat(bodies);
    const version = await versionAt(rig, "u");
    expectSums(version, whole);
    expect(version.blocks?.runs.map(({ count }) => count)).toEqual([1, 2, 1]);
    const span = { start: 5 * BLOCK_BYTES, end: 5 * BLOCK_BYTES + 10 };
    expect((await readAll(coordinator, "u", span)).equals(whole.subarray(span.start, span.end))).toBe(true);
  });
});

/** Gives an object in pieces of these sizes, in turn, and with one byte flipped. */
function spoil(store: ReturnType<typeof flakyStore>, pieces: readonly number[], flip: number): void {
  const get = store.get.bind(store);
  store.get = async (ctx, key, options) => {
    const body = await get(ctx, key, options);
    const start = options?.range !== undefined && "start" in options.range ? options.range.start : 0;
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body.stream) chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      const at = flip - start;
      whole[at] = at >= 0 && at < whole.length ? (whole[at] as number) ^ 1 : (whole[at] as number);
      for (let offset = 0, turn = 0; offset < whole.length; turn++) {
        const end = offset + (pieces[turn % pieces.length] as number);
        yield whole.subarray(offset, end);
        offset = end;
      }
    };
    return { ...body, stream: stream() };
  };
}

describe("a read of a rotten copy", () => {
  it("gives exactly the bytes that were written, from here and from another copy, or never comes to its end", async () => {
    const body = bytesOf(5 * FINEST_BLOCK_BYTES + 77);
    const sizes = fc.integer({ min: 1, max: 2 * FINEST_BLOCK_BYTES + 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        async (pieces, flip, one, other) => {
          const rig = await start();
          await rig.put("a", body);
          await rig.settled();
          spoil(
            rig.local,
            pieces.map((piece) => Math.max(piece, 500)),
            flip % body.length,
          );
          const from = one % body.length;
          const span = { start: from, end: from + 1 + (other % (body.length - from)) };
          for (const range of [undefined, span]) {
            const outcome = await readAll(rig.coordinator, "a", range).catch((error: GfsError) => error.code);
            const right = range === undefined ? body : body.subarray(range.start, range.end);
            expect(typeof outcome === "string" ? outcome : outcome.equals(right)).toBe(
              typeof outcome === "string" ? "DataCorrupt" : true,
            );
          }
          await rig.stop();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a read of a copy that is rotten in its third block", () => {
  const body = bytesOf(4 * BLOCK_BYTES);

  async function rotten(): Promise<Awaited<ReturnType<typeof start>>> {
    const rig = await start();
    await rig.put("a", body);
    await rig.settled();
    rig.local.rottenAt = 2 * BLOCK_BYTES + 5;
    return rig;
  }

  it("gives what lies in other blocks from that very copy", async () => {
    const { coordinator } = await rotten();
    const span = { start: 5, end: 2 * BLOCK_BYTES - 5 };
    const read = await (await coordinator.readObject(rigCtx, "a")).open(span);
    expect(read.source).toBe("local");
    const chunks: Uint8Array[] = [];
    for await (const chunk of read.stream) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(body.subarray(span.start, span.end))).toBe(true);
  });

  it("goes on from another copy when nothing that it was asked for had been given out of that block", async () => {
    const { coordinator, local } = await rotten();
    local.rottenAt = 5;
    for (const span of [
      { start: BLOCK_BYTES - 1, end: BLOCK_BYTES },
      { start: 0, end: 1 },
    ])
      expect((await readAll(coordinator, "a", span)).equals(body.subarray(span.start, span.end))).toBe(true);
  });

  it("never comes to its end where they had, and says that the bytes were wrong", async () => {
    const { coordinator } = await rotten();
    const outcome = await readAll(coordinator, "a").catch((error: GfsError) => error.code);
    expect(typeof outcome === "string" ? outcome : outcome.equals(body)).toBe(
      typeof outcome === "string" ? "DataCorrupt" : true,
    );
  });
});
