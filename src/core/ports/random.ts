import { randomBytes } from "node:crypto";

/** Chance as a port: production draws from the system, tests from a seed. */
export interface Random {
  /** A number in [0, 1). */
  fraction(): number;
  bytes(sizeBytes: number): Uint8Array;
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  bytes: (sizeBytes) => randomBytes(sizeBytes),
};

/** A small deterministic generator (mulberry32), for tests, simulations and the chaos layer. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    fraction: next,
    bytes(sizeBytes) {
      const out = new Uint8Array(sizeBytes);
      for (let index = 0; index < sizeBytes; index++) out[index] = Math.floor(next() * 256);
      return out;
    },
  };
}
