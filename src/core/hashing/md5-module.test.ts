import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { buildMd5Module, type Lanes, MD5_START, wordIndex } from "./md5-module.ts";

const PADDED = 1_024;
const FIRST = 4_096;

/** All lanes hash as many blocks, and then the padding of a body of that size. */
function hashLanes(lanes: Lanes, bodies: readonly Uint8Array[]): string[] {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const instance = new WebAssembly.Instance(buildMd5Module(lanes), { e: { m: memory } });
  const run = instance.exports["f"] as (...values: number[]) => void;
  const bytes = new Uint8Array(memory.buffer);
  const state = new Uint32Array(memory.buffer, 0, 32);
  for (let lane = 0; lane < lanes; lane++) {
    for (const [word, value] of MD5_START.entries()) state[wordIndex(lane, word)] = value;
  }
  const size = bodies[0]?.byteLength ?? 0;
  const pointers = bodies.map((body, lane) => {
    const pointer = FIRST + lane * (size + 16);
    bytes.set(body, pointer);
    return pointer;
  });
  if (size > 0) run(...pointers, size / 64, 0);
  bytes[PADDED] = 0x80;
  new DataView(memory.buffer).setBigUint64(PADDED + 56, BigInt(size) * 8n, true);
  run(...pointers.map(() => PADDED), 1, 0);
  return bodies.map((_, lane) => {
    const digest = Buffer.alloc(16);
    for (let word = 0; word < 4; word++) digest.writeUInt32LE(state[wordIndex(lane, word)] as number, word * 4);
    return digest.toString("hex");
  });
}

describe("MD5 in lanes", () => {
  for (const lanes of [1, 4, 8] as const) {
    it.each([0, 64, 128, 64 * 300])(`of ${lanes} bodies of %i bytes is that of each`, (size) => {
      const bodies = Array.from({ length: lanes }, () => randomBytes(size));
      expect(hashLanes(lanes, bodies)).toEqual(bodies.map((body) => createHash("md5").update(body).digest("hex")));
    });
  }
});
