import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBodyHash, type HashName } from "./body-hash.ts";

const hex = (name: HashName, bytes: Uint8Array): string => createHash(name).update(bytes).digest("hex");

describe("the hash of a body", () => {
  it.each([0, 1, 4_096, 1024 ** 2 - 1, 1024 ** 2, 5 * 1024 ** 2 + 17])(
    "of %i bytes is that of its bytes",
    async (size) => {
      const bytes = randomBytes(size);
      const hash = createBodyHash(["md5", "sha256"], size);
      for (let at = 0; at < size; at += 65_521) await hash.update(bytes.subarray(at, Math.min(size, at + 65_521)));
      expect(await hash.digest()).toEqual({ md5: hex("md5", bytes), sha256: hex("sha256", bytes) });
    },
  );

  it("does not depend on how the body is cut, nor on what becomes of a chunk afterwards", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 900_000 }), { minLength: 1, maxLength: 8 }), async (cuts) => {
        const pieces = cuts.map((length) => randomBytes(length));
        const bytes = Buffer.concat(pieces);
        const hash = createBodyHash(["md5"], Math.max(bytes.length, 1024 ** 2));
        for (const piece of pieces) {
          await hash.update(piece);
          piece.fill(0);
        }
        expect(await hash.digest()).toEqual({ md5: hex("md5", bytes) });
      }),
      { numRuns: 20 },
    );
  });

  it("of many bodies at once is each its own, also when others are given up", async () => {
    const bodies = Array.from({ length: 24 }, (_, index) => randomBytes(2 * 1024 ** 2 + index * 37));
    const digests = await Promise.all(
      bodies.map(async (bytes, index) => {
        const hash = createBodyHash(["md5", "sha256"], bytes.length);
        for (let at = 0; at < bytes.length; at += 100_000) {
          await hash.update(bytes.subarray(at, at + 100_000));
          if (index % 3 === 0 && at > 1_000_000) {
            hash.abandon();
            return undefined;
          }
        }
        return await hash.digest();
      }),
    );
    for (const [index, digest] of digests.entries()) {
      const bytes = bodies[index] as Buffer;
      expect(digest).toEqual(index % 3 === 0 ? undefined : { md5: hex("md5", bytes), sha256: hex("sha256", bytes) });
    }
  });

  it("of more bodies than threads have seats for is each its own all the same", async () => {
    const bytes = randomBytes(2 * 1024 ** 2);
    const slices = Array.from({ length: 300 }, (_, index) => bytes.subarray(index, index + 1024 ** 2));
    const hashes = slices.map((slice) => createBodyHash(["md5"], slice.length));
    for (const [index, hash] of hashes.entries()) await hash.update((slices[index] as Buffer).subarray(0, 100_000));
    const digests = await Promise.all(
      hashes.map(async (hash, index) => {
        await hash.update((slices[index] as Buffer).subarray(100_000));
        return await hash.digest();
      }),
    );
    expect(digests).toEqual(slices.map((slice) => ({ md5: hex("md5", slice) })));
  });
});
