import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { collect, ctx, putObject, readObject, type Suite } from "../access.ts";

/** Ranges, conditions, and readers that give up. */
export function describeReads(suite: Suite): void {
  describe("reads", () => {
    const size = 300_000;
    const body = randomBytes(size);
    let key: string;
    beforeAll(async () => {
      key = `${suite.fresh()}ranged`;
      await putObject(suite.store, key, body);
    });

    it.each([
      [{ start: 0 }, 0, size],
      [{ start: 0, end: 1 }, 0, 1],
      [{ start: 100_000, end: 200_001 }, 100_000, 200_001],
      [{ start: size - 1 }, size - 1, size],
      [{ start: 5, end: size + 1_000 }, 5, size],
      [{ suffix: 10 }, size - 10, size],
      [{ suffix: size * 2 }, 0, size],
    ])("of the range %j give exactly those bytes", async (range, start, end) => {
      const opened = await suite.store.get(ctx, key, { range });
      expect([opened.start, opened.end, opened.info.sizeBytes]).toEqual([start, end, size]);
      expect((await collect(opened.stream)).equals(body.subarray(start, end))).toBe(true);
    });

    it.each([[{ start: size }], [{ start: size + 5, end: size + 6 }], [{ suffix: 0 }], [{ start: 7, end: 7 }]])(
      "of the range %j are refused",
      async (range) => {
        await expect(suite.store.get(ctx, key, { range })).rejects.toMatchObject({ code: "RangeNotSatisfiable" });
      },
    );

    suite.test("can ask for the very object that was seen", async () => {
      const { etag } = await suite.store.head(ctx, key);
      expect((await readObject(suite.store, key, { ifMatch: etag, range: { start: 0, end: 4 } })).length).toBe(4);
      await expect(suite.store.get(ctx, key, { ifMatch: "00000000000000000000000000000000" })).rejects.toMatchObject({
        code: "PreconditionFailed",
      });
    });

    suite.test("can be given up at any point", async () => {
      const unread = await suite.store.get(ctx, key);
      unread.cancel();
      const half = await suite.store.get(ctx, key);
      for await (const chunk of half.stream) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
      const controller = new AbortController();
      const aborted = await suite.store.get({ ...ctx, signal: controller.signal }, key);
      const reading = (async () => {
        for await (const _ of aborted.stream) controller.abort();
      })();
      await reading.catch((error: { code?: string }) => expect(error.code).toBe("Canceled"));
      expect((await readObject(suite.store, key)).equals(body)).toBe(true);
    });
  });
}
