import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import { readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { BLOCK_BYTES } from "../../src/core/block-sums.ts";
import type { GfsError } from "../../src/core/errors.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { codeOf } from "./setting.ts";
import { everywhere, type OnDisk, rot, startOnDisk } from "./matrix.ts";

/** Guarantees that what operators choose must not touch. */

/** Disks and processors are shared with other tests; what takes longer hangs. */
const PATIENCE_MS = 60_000;
const TEST_MS = 180_000;

const ROLES = { local: "primary", archive: "backup" } as const;

/** Around what a cache fetches at once and what comes in one piece; with an MD5 beside it a large object has no SHA-256. */
const OBJECTS = [
  ["small", 500, {}],
  ["one block", 640_000, {}],
  ["some blocks", 3_000_000, { md5Etag: true }],
  ["large", 9_500_000, {}],
] as const;

async function healthy({ coordinator }: OnDisk, key: string): Promise<boolean> {
  return (await coordinator.explain(rigCtx, key)).copies.every(({ state }) => state === "present");
}

async function healthyOrForeign({ coordinator }: OnDisk, key: string): Promise<boolean> {
  const { copies } = await coordinator.explain(rigCtx, key);
  return copies.every(({ state }) => state === "present" || state === "foreign");
}

/** As tools do that write a file anew. */
function replaceWith(path: string, body: string): void {
  writeFileSync(`${path}.new`, body);
  renameSync(`${path}.new`, path);
}

everywhere(
  "R6 Wrong bytes are never given out as a whole object, and a rotten copy is taken out of use and mended",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
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
      await expect.poll(() => readFileSync(pathAt("local", key)).equals(body), { timeout: PATIENCE_MS }).toBe(true);
      await expect.poll(async () => await healthy(setting, key), { timeout: PATIENCE_MS }).toBe(true);
      expect((await readAll(coordinator, key)).equals(body)).toBe(true);
    }
  },
  TEST_MS,
);

/** Where ranges may begin and end: at the borders of blocks and beside them. */
function rangesOf(sizeBytes: number, rotten: number): readonly { readonly start: number; readonly end: number }[] {
  const block = Math.floor(rotten / BLOCK_BYTES) * BLOCK_BYTES;
  const places = [
    0,
    1,
    block - 1,
    block,
    rotten - 1,
    rotten + 1,
    block + BLOCK_BYTES,
    block + BLOCK_BYTES + 1,
    sizeBytes,
  ];
  const inside = [...new Set(places.filter((place) => place >= 0 && place <= sizeBytes))].toSorted(
    (one, other) => one - other,
  );
  return inside.slice(1).map((end, index) => ({ start: inside[index] as number, end }));
}

everywhere(
  "R8 A range is held against the sums of its blocks, so that wrong bytes are never given out as one either",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
    const { coordinator, pathAt, put, settled } = setting;
    for (const [key, sizeBytes, options] of OBJECTS) {
      const body = Buffer.from(seededRandom(sizeBytes).bytes(sizeBytes));
      await put(key, body, options);
      await settled();
      const rotten = Math.floor(sizeBytes / 2);
      rot(pathAt("local", key), rotten);
      for (const range of rangesOf(sizeBytes, rotten)) {
        const outcome = await readAll(coordinator, key, range).catch((error: GfsError) => error.code);
        const right =
          typeof outcome === "string"
            ? outcome === "DataCorrupt"
            : outcome.equals(body.subarray(range.start, range.end));
        expect(right, `${key} ${range.start}-${range.end}`).toBe(true);
      }
      await expect.poll(() => readFileSync(pathAt("local", key)).equals(body), { timeout: PATIENCE_MS }).toBe(true);
      await expect.poll(async () => await healthy(setting, key), { timeout: PATIENCE_MS }).toBe(true);
    }
  },
  TEST_MS,
);

async function versionOf({ coordinator }: OnDisk, key: string): Promise<string> {
  return (await coordinator.headObject(rigCtx, key)).meta.versionId;
}

/** What was set aside of a key, by what `explain` says of it. */
async function keptOf({ coordinator }: OnDisk, key: string): Promise<string | undefined> {
  const { notes } = await coordinator.explain(rigCtx, key);
  const id = notes
    .map((note) => /set aside as version ([0-9A-Z]{26})/.exec(note)?.[1])
    .find((found) => found !== undefined);
  if (id === undefined) return undefined;
  const read = await coordinator.readObject(rigCtx, key, { versionId: id });
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await read.open()).stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

const WRITTEN = "0123456789".repeat(200);

everywhere(
  "F4 A copy that lost its end, its attributes or its time is damage and mended, and no new version",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
    const { pathAt, put, read, settled } = setting;
    const longAgo = new Date("2001-01-01T00:00:00Z");
    const damages: readonly (readonly [key: string, spoil: (path: string) => void, kept: string | undefined])[] = [
      ["cut", (path) => truncateSync(path, 1_000), WRITTEN.slice(0, 1_000)],
      ["emptied", (path) => truncateSync(path, 0), ""],
      ["copied without attributes", (path) => replaceWith(path, WRITTEN), undefined],
      ["touched", (path) => utimesSync(path, new Date(), new Date()), undefined],
      [
        "restored from long ago",
        (path) => {
          replaceWith(path, "what it was before");
          utimesSync(path, longAgo, longAgo);
        },
        "what it was before",
      ],
    ];
    for (const [key, spoil, kept] of damages) {
      await put(key, WRITTEN);
      await settled();
      const before = await versionOf(setting, key);
      spoil(pathAt("local", key));
      for (let time = 0; time < 3; time++) expect(await read(key), key).toBe(WRITTEN);
      expect(await versionOf(setting, key), key).toBe(before);
      await expect.poll(async () => await healthy(setting, key), { timeout: PATIENCE_MS }).toBe(true);
      for (const site of Object.keys(setting.sites))
        expect(readFileSync(pathAt(site, key)).toString(), `${key} at ${site}`).toBe(WRITTEN);
      expect(await keptOf(setting, key), key).toBe(kept);
    }
  },
  TEST_MS,
);

everywhere(
  "F2 An object that another tool replaced at a primary is the new version, everywhere",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
    const { coordinator, pathAt, put, read, settled } = setting;
    const news: readonly (readonly [key: string, write: (path: string) => void, body: string])[] = [
      ["rewritten", (path) => replaceWith(path, "theirs"), "theirs"],
      ["appended to", (path) => appendFileSync(path, "more"), `${WRITTEN}more`],
      ["edited in place", (path) => writeFileSync(path, "X".repeat(WRITTEN.length)), "X".repeat(WRITTEN.length)],
    ];
    for (const [key, write, body] of news) {
      await put(key, WRITTEN);
      await settled();
      const before = await versionOf(setting, key);
      write(pathAt("local", key));
      expect(await read(key), key).toBe(body);
      expect(await versionOf(setting, key), key).not.toBe(before);
      await settled();
      await expect.poll(async () => await healthyOrForeign(setting, key), { timeout: PATIENCE_MS }).toBe(true);
      for (const site of Object.keys(setting.sites))
        expect(readFileSync(pathAt(site, key)).toString(), `${key} at ${site}`).toBe(body);
      // What it replaced is there for a while.
      expect(await keptOf(setting, key), key).toBe(WRITTEN);
    }
    await coordinator.deleteObject(rigCtx, "rewritten");
    await expect(read("rewritten")).rejects.toMatchObject({ code: "NotFound" });
  },
  TEST_MS,
);

everywhere(
  "R7 Bytes that no copy shows are looked for at every site before they are called lost",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
    const { coordinator, pathAt, primaries, put, read, settled, sites } = setting;
    await put("x", WRITTEN);
    await settled();
    // The primaries lose it: the backup has it.
    for (const site of primaries) rmSync(pathAt(site, "x"));
    expect(await read("x")).toBe(WRITTEN);
    await expect.poll(async () => await healthy(setting, "x"), { timeout: PATIENCE_MS }).toBe(true);
    for (const site of primaries) expect(readFileSync(pathAt(site, "x")).toString()).toBe(WRITTEN);
    // All lose another, before anybody has read it, and one is given it back.
    await put("y", WRITTEN);
    await settled();
    const aside = `${pathAt("archive", "y")}.aside`;
    renameSync(pathAt("archive", "y"), aside);
    for (const site of primaries) rmSync(pathAt(site, "y"));
    for (let time = 0; time < 2; time++) expect(await codeOf(read("y"))).toBe("DataCorrupt");
    await settled();
    expect(await codeOf(read("y"))).toBe("DataCorrupt");
    renameSync(aside, pathAt("archive", "y"));
    sites["archive"]?.failing.add("head");
    expect(await codeOf(read("y"))).toBe("Unavailable");
    sites["archive"]?.failing.clear();
    expect(await read("y")).toBe(WRITTEN);
    expect(await codeOf(coordinator.headObject(rigCtx, "y"))).toBe("done");
  },
  TEST_MS,
);

everywhere(
  "C1 A copy of a source that has rotted has the right bytes everywhere",
  async (door) => {
    const setting = await startOnDisk(door, ROLES);
    const { coordinator, pathAt, put, read, settled, sites } = setting;
    for (const [key, options] of [
      ["large", { md5Etag: true }],
      ["small", {}],
    ] as const) {
      const body = key === "large" ? WRITTEN.repeat(1_000) : WRITTEN;
      await put(key, body, options);
      await settled();
      rot(pathAt("local", key), 700);
      await coordinator.copyObject(rigCtx, { from: { key }, key: `copy of ${key}` });
      await settled();
      expect(await read(`copy of ${key}`)).toBe(body);
      for (const site of Object.keys(sites))
        for (const each of [key, `copy of ${key}`])
          await expect
            .poll(() => readFileSync(pathAt(site, each)).equals(Buffer.from(body)), { timeout: PATIENCE_MS })
            .toBe(true);
    }
  },
  TEST_MS,
);
