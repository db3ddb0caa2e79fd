import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, SiteName, VersionId } from "../../core/ids.ts";
import { createMemoryKv, encodeKey, type Key, type Kv, type Program, tail } from "../../kv/index.ts";
import { createScan } from "../../namespace/index.ts";
import { checkSetAside } from "./check-set-aside.ts";
import { keyRow, type SetAside, setAsideKey } from "./set-aside.ts";
import { ageKey, moveIn } from "./set-aside-space.ts";

const ASIDE: SetAside = {
  path: "a" as FilePath,
  versionId: "01TEST" as VersionId,
  site: "local" as SiteName,
  key: ".globalfs/set-aside/01TEST",
  etag: "e",
  sizeBytes: 5_000,
  shownEtag: "e",
  modifiedMs: 1,
  metadata: {},
  reason: "It lost.",
  atMs: 1,
};

let kv: Kv;

const write = async (key: Key, value: Uint8Array | undefined): Promise<void> =>
  await kv.transact(function* (tx): Program<void> {
    if (value === undefined) tx.delete(key);
    else tx.put(key, value);
  });
const faults = async (): Promise<string[]> => {
  const found: string[] = [];
  await checkSetAside(createScan(kv, { fault: (sentence) => found.push(sentence) }));
  return found;
};

beforeEach(async () => {
  kv = createMemoryKv();
  await kv.transact(function* (tx) {
    tx.put(setAsideKey(ASIDE), Buffer.from(JSON.stringify(ASIDE)));
    tx.put(keyRow(ASIDE.key), Buffer.alloc(0));
    yield* moveIn(tx, ASIDE);
  });
});

describe("the check of what was set aside", () => {
  it("finds nothing wrong with what is whole", async () => {
    expect(await faults()).toEqual([]);
  });

  it("finds what the sweep would take, and what nobody has set aside", async () => {
    await write(keyRow(ASIDE.key), undefined);
    expect(await faults()).toEqual([
      "At local .globalfs/set-aside/01TEST, set aside for a, has no row that protects it from the sweep.",
    ]);
    await write(keyRow(ASIDE.key), Buffer.alloc(0));
    await write(keyRow("other"), Buffer.alloc(0));
    expect(await faults()).toEqual(["1 rows protect objects from the sweep that nobody has set aside."]);
  });

  it("finds room that is said to be taken and is not, and the other way", async () => {
    await write(ageKey(ASIDE), undefined);
    expect(await faults()).toEqual(["At local what is set aside is said to take 5000 bytes, and takes 0."]);
    await write(ageKey(ASIDE), Buffer.from("a"));
    await write(encodeKey("coordinator-set-aside-bytes", tail("local")), undefined);
    expect(await faults()).toEqual(["At local what is set aside is said to take 0 bytes, and takes 5000."]);
  });

  it("finds a row under another's id, and an age of what is not there", async () => {
    await write(encodeKey("coordinator-set-aside", "b", tail("01TEST")), Buffer.from(JSON.stringify(ASIDE)));
    await write(ageKey({ ...ASIDE, versionId: "02TEST" as VersionId }), Buffer.from("c"));
    expect(await faults()).toEqual([
      "The row of what was set aside of a says that it is 01TEST, which it is not.",
      "At local version 02TEST of c is said to take room, and is not set aside.",
      "At local what is set aside is said to take 5000 bytes, and takes 10000.",
    ]);
  });
});
