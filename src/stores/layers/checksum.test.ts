import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore, sha256Of } from "../testing/scripted-store.ts";
import { checksumLayer } from "./checksum.ts";

const ctx = backgroundCtx();

/** A store that gives `pieces` for an object whose info says what was really written. */
async function giving(pieces: readonly Uint8Array[], written: Uint8Array, maxBytes = 1_000_000) {
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", written);
  inner.script.body = (body) => ({ ...body, stream: pieced(pieces) });
  return checksumLayer({ maxBytes })(inner);
}

async function* pieced(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

describe("the checksum layer", () => {
  it("hands on right bytes as they come, whatever their pieces", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }), async (pieces) => {
        const whole = Buffer.concat(pieces);
        const store = await giving(pieces, whole);
        expect((await bytesOf((await store.get(ctx, "key")).stream)).equals(whole)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it("never lets a reader see the end of an object with one wrong bit", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 20 }),
        async (bytes, where, size) => {
          const wrong = Buffer.from(bytes);
          const at = where % wrong.length;
          wrong[at] = (wrong[at] as number) ^ (1 << (where % 8));
          const pieces = Array.from({ length: Math.ceil(wrong.length / size) }, (_, index) =>
            wrong.subarray(index * size, (index + 1) * size),
          );
          const store = await giving(pieces, bytes);
          let seenBytes = 0;
          const read = async (): Promise<void> => {
            for await (const chunk of (await store.get(ctx, "key")).stream) seenBytes += chunk.byteLength;
          };
          await expect(read()).rejects.toMatchObject({ code: "DataCorrupt" });
          expect(seenBytes).toBeLessThan(bytes.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("calls a short stream a broken connection, of a range as of the whole", async () => {
    const store = await giving([Buffer.from("abc")], Buffer.from("abcdef"));
    await expect(bytesOf((await store.get(ctx, "key")).stream)).rejects.toMatchObject({
      code: "Unavailable",
      retry: "safe",
    });
    await expect(bytesOf((await store.get(ctx, "key", { range: { start: 1, end: 5 } })).stream)).rejects.toMatchObject({
      code: "Unavailable",
    });
    const empty = await giving([], Buffer.from("abcdef"));
    await expect(bytesOf((await empty.get(ctx, "key")).stream)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("refuses more bytes than were asked for before they are seen", async () => {
    const store = await giving([Buffer.from("abcdef"), Buffer.from("g")], Buffer.from("abcdef"));
    let seenBytes = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of (await store.get(ctx, "key", { range: { start: 0, end: 6 } })).stream)
        seenBytes += chunk.byteLength;
    };
    await expect(read()).rejects.toMatchObject({ code: "DataCorrupt" });
    expect(seenBytes).toBeLessThanOrEqual(6);
  });

  it("hands ranges on, of which nobody knows the sum", async () => {
    const store = await giving([Buffer.from("bcd")], Buffer.from("abcdef"));
    expect((await bytesOf((await store.get(ctx, "key", { range: { start: 1, end: 4 } })).stream)).toString()).toBe(
      "bcd",
    );
  });

  it("spares objects above its limit the hashing, and not the counting", async () => {
    const wrong = await giving([Buffer.from("abcdeX")], Buffer.from("abcdef"), 5);
    expect((await bytesOf((await wrong.get(ctx, "key")).stream)).toString()).toBe("abcdeX");
    const short = await giving([Buffer.from("abcde")], Buffer.from("abcdef"), 5);
    await expect(bytesOf((await short.get(ctx, "key")).stream)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("frees the body of a reader who stops half-way", async () => {
    const inner = scriptedStore(createMemoryStore());
    await putBytes(inner, "key", "abcdef");
    expect((await inner.head(ctx, "key")).sha256).toBe(sha256Of(Buffer.from("abcdef")));
    let ended = false;
    async function* watched(): AsyncGenerator<Uint8Array> {
      try {
        for (const letter of "abcdef") yield Buffer.from(letter);
      } finally {
        ended = true;
      }
    }
    inner.script.body = (body) => ({ ...body, stream: watched() });
    const store = checksumLayer({ maxBytes: 100 })(inner);
    for await (const chunk of (await store.get(ctx, "key")).stream) if (chunk[0] === 98) break;
    expect(ended).toBe(true);
  });

  it("says of more bytes that they are too many, also where nobody knows the sum, and of an object at its limit that they are wrong", async () => {
    const more = await giving([Buffer.from("abc"), Buffer.from("d")], Buffer.from("abcdef"));
    const range = { start: 0, end: 3 };
    await expect(bytesOf((await more.get(ctx, "key", { range })).stream)).rejects.toThrow("more bytes than it should");
    const atLimit = await giving([Buffer.from("abcdeX")], Buffer.from("abcdef"), 6);
    await expect(bytesOf((await atLimit.get(ctx, "key")).stream)).rejects.toThrow("other bytes than its checksum says");
  });
});
