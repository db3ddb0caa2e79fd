// A choice of mutations that a seed repeats.
import { parseSync } from "oxc-parser";

/** `count` of `mutations` in an order that follows from the seed. Those that are no program, or known to be the same, are left out. */
export function choose(mutations, { seed, count }) {
  const random = randomFrom(seed);
  const order = mutations.map((mutation) => ({ mutation, at: random() })).sort((a, b) => a.at - b.at);
  const chosen = [];
  for (const { mutation } of order) {
    if (chosen.length === count) break;
    if (isProgram(mutation)) chosen.push(mutation);
  }
  return chosen;
}

function isProgram({ file, text, start, end, replacement }) {
  const mutant = text.slice(0, start) + replacement + text.slice(end);
  return mutant !== text && parseSync(file, mutant, { sourceType: "module" }).errors.length === 0;
}

/** Mulberry32: small, and good enough to choose by. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
