import { GfsError, isGfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Random } from "../../core/ports/random.ts";
import { decodeKey, encodeKey, type Kv, prefixRange, type Program } from "../../kv/index.ts";
import type { PlaceBook, PlaceRecord } from "../../stores/index.ts";

/** Which place each site lies at: the id of the marker there. Rows stay when a site is removed, so that it is known when it comes back. */
const SPACE = "coordinator-place";
const MAX_PLACES = 10_000;
const ID_BYTES = 16;

export interface PlaceBookDeps {
  readonly kv: Kv;
  readonly random: Random;
  /** Whether a site of this name is configured, or was added and not removed. */
  readonly isCurrent: (site: SiteName) => Promise<boolean>;
}

/** The book of one site. */
export function createPlaceBook({ kv, random, isCurrent }: PlaceBookDeps, site: SiteName): PlaceBook {
  const newId = (): string => Buffer.from(random.bytes(ID_BYTES)).toString("hex");

  const find = async (): Promise<PlaceRecord | undefined> => {
    const row = await kv.view(function* (tx) {
      return yield* tx.get(encodeKey(SPACE, site));
    });
    return row === undefined ? undefined : decode(row);
  };
  /** A process that only reads the catalog leaves it to the coordinator, which comes to the same result. */
  const change = async <T>(program: Parameters<typeof kv.transact<T>>[0]): Promise<T | undefined> => {
    try {
      return await kv.transact(program);
    } catch (error) {
      if (isGfsError(error, "ReadOnly")) return undefined;
      throw error;
    }
  };
  const begin = async (): Promise<PlaceRecord> => {
    const fresh: PlaceRecord = { state: "fresh", id: newId() };
    const record = await change(function* (tx): Program<PlaceRecord> {
      const row = yield* tx.get(encodeKey(SPACE, site));
      if (row !== undefined) return decode(row);
      tx.put(encodeKey(SPACE, site), encode(fresh));
      return fresh;
    });
    if (record !== undefined) return record;
    throw new GfsError("Unavailable", `The coordinator has not opened site ${site} yet.`, { op: "site.identity" });
  };

  return {
    newId,
    read: async () => (await find()) ?? (await begin()),
    async write(record) {
      await change(function* (tx): Program<void> {
        tx.put(encodeKey(SPACE, site), encode(record));
      });
    },
    async recognise(id) {
      const rows = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey(SPACE)), limit: MAX_PLACES }));
      let isKnown = false;
      for (const { key, value } of rows) {
        const name = decodeKey(key, ["string"])[0] as SiteName;
        if (decode(value).id !== id) continue;
        if (name !== site && (await isCurrent(name))) return { takenBy: name };
        isKnown = true;
      }
      return isKnown ? "free" : "unknown";
    },
  };
}

function encode(record: PlaceRecord): Buffer {
  return Buffer.from(JSON.stringify(record));
}

function decode(row: Uint8Array): PlaceRecord {
  return JSON.parse(Buffer.from(row).toString()) as PlaceRecord;
}
