import { expect, test } from "vitest";
import type { SiteName } from "../../core/ids.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createMemoryKv, type Kv } from "../../kv/index.ts";
import type { PlaceBook } from "../../stores/index.ts";
import { GfsError } from "../../core/errors.ts";
import { createPlaceBook } from "./site-places.ts";

function bookOf(kv: Kv, site: string, current: readonly string[] = [], seed = 1): PlaceBook {
  return createPlaceBook(
    { kv, random: seededRandom(seed), isCurrent: async (name) => current.includes(name) },
    site as SiteName,
  );
}

test("a site that is seen for the first time gets one id, whoever asks", async () => {
  const kv = createMemoryKv();
  const records = await Promise.all([1, 2, 3].map(async (seed) => await bookOf(kv, "one", [], seed).read()));
  expect(records[0]?.state).toBe("fresh");
  expect(records[0]?.id).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(records.map(({ id }) => id)).size).toBe(1);
  expect((await bookOf(kv, "two", [], 9).read()).id).not.toBe(records[0]?.id);
});

test("a marker is that of a current site, of one that is gone, or unknown", async () => {
  const kv = createMemoryKv();
  const id = "a".repeat(32);
  await bookOf(kv, "one").write({ state: "held", id });
  await bookOf(kv, "none").write({ state: "unmarked" });
  expect(await bookOf(kv, "two", ["one"]).recognise(id)).toEqual({ takenBy: "one" });
  expect(await bookOf(kv, "two").recognise(id)).toBe("free");
  expect(await bookOf(kv, "one", ["one"]).recognise(id)).toBe("free");
  expect(await bookOf(kv, "two", ["one"]).recognise("b".repeat(32))).toBe("unknown");
});

test("a process that only reads the catalog leaves the writing to the coordinator", async () => {
  const kv = createMemoryKv();
  const reading: Kv = { ...kv, transact: async () => await Promise.reject(new GfsError("ReadOnly", "Only read.")) };
  await expect(bookOf(reading, "one").read()).rejects.toMatchObject({ code: "Unavailable" });
  const record = await bookOf(kv, "one").read();
  await bookOf(reading, "one").write({ state: "held", id: record.id as string });
  expect(await bookOf(reading, "one").read()).toEqual(record);
});
