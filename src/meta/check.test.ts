import { beforeEach, describe, expect, it } from "vitest";
import { type FilePath, ROOT_INODE } from "../core/ids.ts";
import { createMemoryKv, encodeKey, type Key, type Kv, type Program, tail } from "../kv/index.ts";
import { checkJobs } from "../mover/index.ts";
import { createInodeAllocator, type InodeAllocator, initialize, makeDirectory } from "../namespace/index.ts";
import { checkMeta, type CheckReport } from "./check.ts";

let kv: Kv;
let inodes: InodeAllocator;

beforeEach(async () => {
  kv = createMemoryKv();
  inodes = createInodeAllocator(kv);
  await kv.transact((tx) => initialize(tx, 1));
  await make("a");
});

const make = async (path: string): Promise<void> => {
  const how = { mode: 0o755, uid: 0, gid: 0, parents: false, existing: "refuse" as const, nowMs: 2 };
  await inodes.transact((tx, nextInode) => makeDirectory(tx, { ...how, path: path as FilePath, nextInode }));
};
const check = async (mostFindings?: number): Promise<CheckReport> =>
  await checkMeta(
    kv,
    { checkJobs, checkSetAside: async () => undefined },
    mostFindings === undefined ? {} : { mostFindings },
  );
const faults = async (): Promise<string[]> => (await check()).findings.map(({ sentence }) => sentence);
const write = async (...rows: readonly (readonly [Key, Uint8Array | undefined])[]): Promise<void> =>
  await kv.transact(function* (tx): Program<void> {
    for (const [key, value] of rows) {
      if (value === undefined) tx.delete(key);
      else tx.put(key, value);
    }
  });

describe("the check of a whole catalog", () => {
  it("counts what there is, and finds nothing wrong", async () => {
    const report = await check();
    expect(report).toMatchObject({ files: 0, directories: 2, entries: 1, jobs: 0, faults: 0, findings: [] });
    expect(report.rows).toBeGreaterThan(3);
  });

  it("sees the catalog as it was when it began, whatever is written meanwhile", async () => {
    let begun = false;
    const report = await checkMeta(
      kv,
      {
        checkJobs: async (scan) => {
          begun = true;
          await write([encodeKey("i", ROOT_INODE), undefined]);
          return await checkJobs(scan);
        },
        checkSetAside: async () => undefined,
      },
      {},
    );
    expect(begun).toBe(true);
    expect(report.faults).toBe(0);
    expect((await check()).faults).toBeGreaterThan(0);
  });

  it("finds a counter of inodes that would hand one out again", async () => {
    await write([encodeKey("n", "inodes"), Buffer.from([2])]);
    expect(await faults()).toEqual(["The next inode to be handed out is 2, and there is an inode 2."]);
    await write([encodeKey("n", "inodes"), undefined]);
    expect(await faults()).toEqual(["The next inode to be handed out is 2, and there is an inode 2."]);
  });

  it("finds a change feed that goes on where it is forgotten, or where no commit has been", async () => {
    const { value } = (
      await kv.view((tx) => tx.range({ start: encodeKey("c"), end: encodeKey("d"), limit: 1 }))
    )[0] as { readonly value: Uint8Array };
    await write([encodeKey("n", "changes"), Buffer.from([0xff, 0xff, 0x7f])]);
    expect(await faults()).toEqual([
      expect.stringMatching(/^The change feed is forgotten up to 2097151, and begins at/),
    ]);
    await write([encodeKey("n", "changes"), undefined], [encodeKey("c", 900_000_000), value]);
    expect(await faults()).toEqual([
      expect.stringMatching(/^The change feed has come to 900000000, which is beyond the newest commit, \d+\.$/),
    ]);
  });

  it("finds rows that cannot be read, and rows of a kind that nobody knows, with what to do about them", async () => {
    await write(
      [encodeKey("k", tail("GFSK")), Buffer.from("{")],
      [encodeKey("t", tail("gone")), Buffer.from([1])],
      [encodeKey("zz", 7), Buffer.alloc(0)],
      [encodeKey("zz", 8), Buffer.alloc(0)],
      [Buffer.from("nothing"), Buffer.alloc(0)],
    );
    const { findings } = await check();
    expect(findings.map(({ sentence }) => sentence)).toEqual([
      "The row 6e6f7468696e67 is of a kind that this release does not know.",
      "The row zz 0000000000000007 is of a kind that this release does not know.",
      "The row t 676f6e65 cannot be read.",
      "The row k 4746534b cannot be read.",
    ]);
    expect(findings[0]?.fix).toContain("release that wrote the row");
    expect(findings[3]?.fix).toContain("globalfs meta rebuild");
  });

  it("tells as many findings as it is asked for, and counts all", async () => {
    await write(
      [encodeKey("y1"), Buffer.alloc(0)],
      [encodeKey("y2"), Buffer.alloc(0)],
      [encodeKey("y3"), Buffer.alloc(0)],
    );
    expect(await check(2)).toMatchObject({ faults: 3, findings: [{}, {}] });
  });
});
