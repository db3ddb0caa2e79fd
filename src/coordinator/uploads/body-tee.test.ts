import { describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { BodyTee } from "./body-tee.ts";

const CHUNK = Buffer.alloc(64 * 1024, 7);

async function readAll(source: AsyncIterable<Uint8Array>): Promise<number> {
  let sizeBytes = 0;
  for await (const chunk of source) sizeBytes += chunk.byteLength;
  return sizeBytes;
}

describe("a body for several readers", () => {
  it("reaches each of them whole", async () => {
    const tee = new BodyTee(10 * CHUNK.length);
    const readers = [readAll(tee.branch().open()), readAll(tee.branch().open())];
    for (let chunk = 0; chunk < 10; chunk++) await tee.push(CHUNK);
    tee.end();
    expect(await Promise.all(readers)).toEqual([10 * CHUNK.length, 10 * CHUNK.length]);
  });

  it("waits for the slowest, and holds a bounded amount for it", async () => {
    const tee = new BodyTee(100 * CHUNK.length);
    const fast = readAll(tee.branch().open());
    const slow = tee.branch().open()[Symbol.asyncIterator]();
    let pushed = 0;
    const pushing = (async () => {
      for (; pushed < 100; pushed++) await tee.push(CHUNK);
      tee.end();
    })();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pushed * CHUNK.length).toBeLessThanOrEqual(256 * 1024 + CHUNK.length);
    while ((await slow.next()).done !== true);
    await pushing;
    expect(await fast).toBe(100 * CHUNK.length);
  });

  it("does not wait for a reader that has gone", async () => {
    const tee = new BodyTee(100 * CHUNK.length);
    const gone = tee.branch().open()[Symbol.asyncIterator]();
    const reader = readAll(tee.branch().open());
    await tee.push(CHUNK);
    await gone.next();
    await gone.return?.();
    for (let chunk = 1; chunk < 100; chunk++) await tee.push(CHUNK);
    tee.end();
    expect(await reader).toBe(100 * CHUNK.length);
  });

  it("fails for all of them, and for whoever pushes, also while that one waits", async () => {
    const tee = new BodyTee(100 * CHUNK.length);
    const slow = tee.branch().open()[Symbol.asyncIterator]();
    const pushing = (async () => {
      for (;;) await tee.push(CHUNK);
    })();
    await slow.next();
    const failure = new GfsError("Canceled", "Enough.");
    tee.fail(failure);
    await expect(pushing).rejects.toBe(failure);
    await expect(slow.next()).rejects.toBe(failure);
    await expect(tee.push(CHUNK)).rejects.toBe(failure);
  });

  it("is read once", () => {
    const branch = new BodyTee(1).branch();
    branch.open();
    expect(() => branch.open()).toThrow(expect.objectContaining({ code: "IncompleteBody" }));
  });
});
