import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import type { GfsError } from "../../src/core/errors.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { CONFIGURATIONS, type Configured, rot, startConfigured } from "./matrix.ts";

/** Guarantees that what operators choose must not touch. */

/** Around what a cache fetches at once and what comes in one piece; with an MD5 beside it a large object has no SHA-256. */
const OBJECTS = [
  ["small", 500, {}],
  ["one block", 640_000, {}],
  ["some blocks", 3_000_000, { md5Etag: true }],
  ["large", 9_500_000, {}],
] as const;

async function healthy({ coordinator }: Configured, key: string): Promise<boolean> {
  return (await coordinator.explain(rigCtx, key)).copies.every(({ state }) => state === "present");
}

test.each(CONFIGURATIONS)(
  "R6 Wrong bytes are never given out as a whole object, and a rotten copy is taken out of use and mended: %s",
  async (_name, configuration) => {
    const setting = await startConfigured(configuration);
    const { coordinator, pathAt, put, settled } = setting;
    for (const [key, sizeBytes, options] of OBJECTS) {
      const body = Buffer.from(seededRandom(sizeBytes).bytes(sizeBytes));
      await put(key, body, options);
      await settled();
      rot(pathAt("local", key), Math.floor(sizeBytes / 2));
      for (const range of [undefined, { start: 0 }, undefined, undefined]) {
        const outcome = await readAll(coordinator, key, range).catch((error: GfsError) => error.code);
        expect(typeof outcome === "string" ? outcome : outcome.equals(body), key).toBe(
          typeof outcome === "string" ? "DataCorrupt" : true,
        );
      }
      await expect.poll(async () => await healthy(setting, key), { timeout: 10_000 }).toBe(true);
      expect((await readAll(coordinator, key)).equals(body)).toBe(true);
      expect(readFileSync(pathAt("local", key)).equals(body), key).toBe(true);
    }
  },
);
