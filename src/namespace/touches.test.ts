import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { createMemoryKv, type Kv, type Program, type Transaction, type WatchEvent } from "../kv/index.ts";
import { initialize, isTouching, posix, type Touch, touchOf, touchRange } from "./index.ts";

let kv: Kv;
let inode: number;

const nextInode = (): Inode => ++inode as Inode;
const now = momentOf(5);
const made = { mode: 0o755, uid: 0, gid: 0, now, nextInode };
const gone = { now, heldBy: [], tombstoneVersionId: "0".repeat(26) as never };

beforeEach(async () => {
  kv = createMemoryKv();
  inode = 100;
  await kv.transact((tx) => initialize(tx, 0));
});

/** What the rows tell that the program has written. */
async function touchesOf(program: (tx: Transaction) => Program<unknown>): Promise<Touch[]> {
  const watching = new AbortController();
  const batches = kv.watch({ start: Buffer.from([0]), end: Buffer.from([255]) }, { signal: watching.signal });
  await kv.transact(program);
  let events: readonly WatchEvent[] = [];
  for await (const batch of batches) {
    ({ events } = batch);
    break;
  }
  const inRange = ({ key }: WatchEvent): boolean =>
    Buffer.compare(key, touchRange.start) >= 0 && Buffer.compare(key, touchRange.end) < 0;
  for (const event of events) expect(touchOf(event) !== undefined).toBe(isTouching(event.key));
  for (const event of events.filter(({ key }) => isTouching(key))) expect(inRange(event)).toBe(true);
  return events.flatMap((event) => touchOf(event) ?? []);
}

describe("what a commit touches", () => {
  it("is a name that comes, what it leads to, and the directory's own times", async () => {
    const touches = await touchesOf((tx) => posix.mknod(tx, { ...made, parent: ROOT_INODE, name: "f", kind: "file" }));
    expect(touches).toContainEqual({ parent: ROOT_INODE, name: "f" });
    expect(touches).toContainEqual({ inode: 101, parent: ROOT_INODE });
    expect(touches).toContainEqual({ inode: ROOT_INODE });
    const below = await touchesOf((tx) => posix.mkdir(tx, { ...made, parent: ROOT_INODE, name: "d" }));
    expect(below).toContainEqual({ parent: ROOT_INODE, name: "d" });
    // Of a directory its own coverage tells.
    expect(below).toContainEqual({ inode: 102 });
  });

  it("is what is told of a file, by itself and by its directory, and not who reads it", async () => {
    const file = await kv.transact((tx) => posix.mknod(tx, { ...made, parent: ROOT_INODE, name: "f", kind: "file" }));
    expect(await touchesOf((tx) => posix.setattr(tx, { inode: file.inode, mode: 0o600, now }))).toEqual([
      { inode: file.inode, parent: ROOT_INODE },
    ]);
  });

  it("is both names of a rename, and a name that goes", async () => {
    await kv.transact((tx) => posix.mknod(tx, { ...made, parent: ROOT_INODE, name: "f", kind: "file" }));
    await kv.transact((tx) => posix.mkdir(tx, { ...made, parent: ROOT_INODE, name: "d" }));
    const from = { parent: ROOT_INODE, name: "f" };
    const to = { parent: 102 as Inode, name: "g" };
    const { tombstoneVersionId } = gone;
    const moved = await touchesOf((tx) => posix.rename(tx, { from, to, now, tombstoneVersionId }));
    expect(moved).toContainEqual(from);
    expect(moved).toContainEqual(to);
    expect(moved).toContainEqual({ inode: 101, parent: 102 });
    const removed = await touchesOf((tx) => posix.unlink(tx, { ...to, ...gone }));
    expect(removed).toContainEqual(to);
    expect(removed).toContainEqual({ inode: 101 });
  });
});
