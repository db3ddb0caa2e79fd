import { describe, expect, it } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import type { Rule } from "../../src/placement/index.ts";
import { type Answered, draw, type Files, KEYS, possibleAfter } from "./two/operations.ts";
import { below, Pair, type PairOptions } from "./two/pair.ts";

/**
 * Two coordinators over one catalog and the same sites, without a lock that they share. Whatever is done through both at the same time, the catalog's
 * transaction decides: what was acknowledged is there, whole and everywhere, and nothing else is; also when either of them dies between two of its steps.
 */

const FIRST = Number(process.env["GLOBALFS_SEED"] ?? 1);
const SEEDS = process.env["GLOBALFS_LONG"] === undefined ? 12 : 1_000;
const ROUNDS = 25;

const AT_ONCE: Rule = {
  name: "at-once",
  keyPattern: "**",
  operations: [],
  targetRoles: [],
  priority: 1,
  publish: "before-ack",
};

const same = (one: Files, other: Files): boolean =>
  one.size === other.size && [...one].every(([key, body]) => other.get(key) === body);

async function seen(pair: Pair, index: number): Promise<Files> {
  const files = new Map<string, string>();
  for (const key of KEYS) {
    const body = await pair.contentOf(index, key);
    if (body !== undefined) files.set(key, body);
  }
  return files;
}

/** What both see; whoever dies while he looks is followed by another. */
async function look(pair: Pair): Promise<Files> {
  for (;;) {
    await pair.revive();
    try {
      const [one, other] = [await seen(pair, 0), await seen(pair, 1)];
      expect(one).toEqual(other);
      return one;
    } catch (error) {
      if (!(await pair.revive())) throw error;
    }
  }
}

async function play(seed: number, options: PairOptions): Promise<number> {
  const chance = seededRandom(seed);
  const pair = await new Pair(seed, options).start();
  const told: string[] = [];
  try {
    let files: Files = new Map();
    for (let round = 0; round < ROUNDS; round++) {
      const key = KEYS[below(chance, KEYS.length)] as string;
      const count = 1 + below(chance, 3);
      const answered = await Promise.all(
        Array.from({ length: count }, async (_, index): Promise<Answered> => {
          const operation = draw(chance, key);
          const node = (index + round) % 2;
          const answer = await pair.answer(node, (coordinator) => operation.run(coordinator));
          told.push(
            `${round}: ${operation.what} at ${node}: ${answer.kind} ${answer.kind === "refused" ? String(answer.error) : ""}`,
          );
          if (answer.kind === "refused" && !isGfsError(answer.error, "NotFound", "AlreadyExists", "Unavailable"))
            throw answer.error;
          return { operation, answer };
        }),
      );
      const possible = possibleAfter(files, answered);
      const found = await look(pair);
      const matching = possible.filter((each) => same(each, found));
      expect({ found, of: possible, matching: matching.length > 0 }).toMatchObject({ matching: true });
      files = found;
      if (below(chance, 4) === 0) await pair.settle();
    }
    await pair.settle();
    expect(await look(pair)).toEqual(files);
    await pair.settle();
    expect(await pair.faults(files)).toEqual([]);
    return pair.deaths;
  } catch (error) {
    throw new Error(`Seed ${seed}: ${(error as Error).message}\n${told.slice(-12).join("\n")}`, { cause: error });
  } finally {
    await pair.stop();
  }
}

const seeds = Array.from({ length: SEEDS }, (_, index) => index + FIRST);

describe("two coordinators lose, mix and undo nothing that was acknowledged", () => {
  it.each(seeds)("(seed %i)", { timeout: 120_000 }, async (seed) => {
    await play(seed, seed % 3 === 0 ? { rules: [AT_ONCE] } : {});
  });

  it.each(seeds)("while either dies between any two of its steps (seed %i)", { timeout: 120_000 }, async (seed) => {
    await play(seed, { dieWithin: 400 });
  });
});
