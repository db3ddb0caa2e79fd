import { expect, test } from "vitest";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import { createMemoryStore, createPlace, isShared, type Place, type PlaceBook } from "../../src/stores/index.ts";
import type { SiteName } from "../../src/core/ids.ts";
import { createPlaceBook } from "../../src/coordinator/index.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { silentLogger } from "../../src/core/ports/log.ts";
import { createFakeClock } from "../../src/core/testing/fake-clock.ts";
import { createMemoryKv, type Kv } from "../../src/kv/index.ts";
import { SETTINGS, start } from "../semantics/setting.ts";

const HOUR_MS = 3_600_000;

const random = seededRandom(1);

function bookOf(kv: Kv): PlaceBook {
  return createPlaceBook({ kv, random, isCurrent: async () => true }, "local" as SiteName);
}

test.each([true, false])(
  "what a catalog does not know at a place is taken away, unless others use the place, too (%s)",
  async (shared) => {
    const clock = createFakeClock();
    const kv = createMemoryKv({ clock });
    const driver = createMemoryStore({}, { clock });
    const placeOf = (unknownMarkers: "ask" | "take" | "share", book: PlaceBook): Place =>
      createPlace({
        site: "local",
        label: "memory://",
        store: driver,
        book,
        unknownMarkers,
        moves: false,
        clock,
        log: silentLogger,
      });
    await placeOf("ask", bookOf(createMemoryKv())).verify();
    await placeOf(shared ? "share" : "take", bookOf(kv)).verify();
    expect(await isShared(driver, rigCtx)).toBe(shared);
    // A version of the other catalog's.
    const theirs = ".globalfs/versions/00/01HZZZZZZZZZZZZZZZZZZZZZ00-report";
    const staged = await driver.stage(rigCtx, theirs);
    await staged.write(Buffer.from("theirs"));
    await staged.seal();
    await staged.commit(rigCtx);
    await start(
      { local: "primary" },
      {
        kv,
        clock,
        openStore: async () => driver,
        overrides: { settings: { ...SETTINGS, stagingRetentionMs: HOUR_MS, housekeepingIntervalMs: HOUR_MS } },
      },
    );
    for (let hour = 0; hour < 5; hour++) await clock.advance(HOUR_MS);
    const left = (await driver.list(rigCtx, { prefix: ".globalfs/versions/", limit: 9 })).objects.map(({ key }) => key);
    expect(left).toEqual(shared ? [theirs] : []);
  },
);
