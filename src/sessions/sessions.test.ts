import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { posix } from "../namespace/index.ts";
import { BOUNDS } from "./local-session.ts";
import type { Sessions } from "./index.ts";
import { CONFIG, isDone, SessionsRig, type TestSession } from "./testing/rig.ts";

let rig: SessionsRig;
let one: Sessions;
let directory: Inode;
let file: Inode;

beforeEach(async () => {
  rig = await new SessionsRig().begin();
  one = await rig.coordinator();
  directory = await rig.make("d", { kind: "directory" });
  file = await rig.make("f", { parent: directory });
});

const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
    return "none";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

const keepAlive = (session: TestSession): number =>
  session.sessions.keepAlive(session, session.events.at(-1)?.revision ?? 0).grantedMs;

describe("a change", () => {
  it("waits for those who cover what it touches, and for nobody else", async () => {
    const holder = await rig.session(one, { isDeaf: true });
    const stranger = await rig.session(one, { isDeaf: true });
    expect(await holder.cover(directory, [file])).toEqual([directory, file]);
    await stranger.cover(await rig.make("e", { kind: "directory" }));
    const change = rig.change(one, file);
    expect(await isDone(change)).toBe(false);
    expect(holder.events).toHaveLength(1);
    expect(holder.events[0]?.touches).toEqual([{ inode: file, parent: directory }]);
    expect(stranger.events).toEqual([]);
    holder.acknowledge();
    await change;
  });

  it("is told to sessions of other coordinators, and waits for them, too", async () => {
    const two = await rig.coordinator();
    const holder = await rig.session(two, { isDeaf: true });
    expect(await holder.cover(directory, [file])).toEqual([directory, file]);
    const change = rig.change(one, file);
    expect(await isDone(change)).toBe(false);
    holder.acknowledge();
    expect(await isDone(change)).toBe(true);
  });

  it("of a name is told by the name, of a directory to those who cover it, of a file with several names to those who cover that", async () => {
    const holder = await rig.session(one);
    const other = await rig.session(one);
    await holder.cover(directory);
    await other.sessions.cover({ ...other, inodes: [file] });
    const now = momentOf(7);
    await rig.kv.transact((tx) => posix.link(tx, { inode: file, parent: ROOT_INODE, name: "second", now }));
    await rig.kv.transact((tx) =>
      posix.unlink(tx, { parent: directory, name: "f", now, heldBy: [], tombstoneVersionId: "x" as never }),
    );
    await rig.change(one, file);
    expect(holder.events[1]?.touches).toContainEqual({ parent: directory, name: "f" });
    expect(holder.events[1]?.touches).toContainEqual({ inode: directory });
    expect(holder.events).toHaveLength(2);
    expect(other.events).toHaveLength(3);
  });

  it("waits no longer than a session that says nothing may trust what it has, however it is kept alive", async () => {
    const holder = await rig.session(one, { isDeaf: true });
    await holder.cover(directory, [file]);
    await rig.clock.advance(10_000);
    expect(keepAlive(holder)).toBe(CONFIG.ttlMs);
    await rig.clock.advance(1_000);
    const change = rig.change(one, file);
    await rig.clock.advance(20_000);
    expect(one.keepAlive(holder, 0).grantedMs).toBe(10_000);
    await rig.clock.advance(9_900);
    expect(await isDone(change)).toBe(false);
    await rig.clock.advance(200);
    expect(await isDone(change)).toBe(true);
    expect(await codeOf(() => one.keepAlive(holder, 0))).toBe("StaleEpoch");
  });

  it("costs one push each and one wait, however many cover the same directory", async () => {
    const many = await Promise.all(Array.from({ length: 1_000 }, async () => await rig.session(one, { isDeaf: true })));
    for (const each of many) await each.cover(directory);
    const change = rig.change(one, file);
    expect(await isDone(change)).toBe(false);
    expect(many.map(({ events }) => events.length)).toEqual(many.map(() => 1));
    for (const each of many.slice(1)) each.acknowledge();
    expect(await isDone(change)).toBe(false);
    many[0]?.acknowledge();
    expect(await isDone(change)).toBe(true);
  });
});

describe("a session", () => {
  it("that lags is cut off, and until it knows that, everything waits for it; then it covers anew", async () => {
    const holder = await rig.session(one, { isDeaf: true });
    await holder.cover(directory, [file]);
    const changes = [];
    for (let index = 0; index <= BOUNDS.events; index++) changes.push(rig.change(one, file));
    await isDone(Promise.all(changes));
    expect(holder.events.at(-1)?.everything).toBe(true);
    expect(await holder.cover(directory)).toEqual([]);
    const elsewhere = rig.change(one, directory);
    expect(await isDone(elsewhere)).toBe(false);
    holder.acknowledge();
    await Promise.all([...changes, elsewhere]);
    expect(await holder.cover(directory)).toEqual([directory]);
  });

  it("is told again what it has not acknowledged, when its line was cut", async () => {
    const holder = await rig.session(one, { isDeaf: true });
    await holder.cover(directory, [file]);
    const changes = [rig.change(one, file), rig.change(one, file)];
    await isDone(Promise.all(changes));
    one.acknowledge(holder, holder.events[0]?.revision ?? 0);
    const again = rig.attach(one, holder);
    await Promise.all(changes);
    expect(again.events).toEqual(holder.events.slice(1));
  });

  it("acknowledges nothing that it was not told yet", async () => {
    const holder = await rig.session(one, { isDeaf: true });
    await holder.cover(directory, [file]);
    one.acknowledge(holder, Number.MAX_SAFE_INTEGER);
    expect(await isDone(rig.change(one, file))).toBe(false);
  });

  it("of another epoch, and one that is unknown, is refused", async () => {
    const holder = await rig.session(one);
    expect(await codeOf(() => one.keepAlive({ ...holder, epoch: holder.epoch + 1 }, 0))).toBe("StaleEpoch");
    expect(await codeOf(async () => await one.reclaim({ ...holder, epoch: holder.epoch - 1 }))).toBe("StaleEpoch");
    expect(await codeOf(async () => await one.reclaim({ session: "none" as never, epoch: 1 }))).toBe("StaleEpoch");
  });

  it("goes to another coordinator with its locks, and is asked for there alone", async () => {
    const two = await rig.coordinator();
    const holder = await rig.session(one);
    const lock = {
      ...holder,
      inode: file,
      kind: "flock" as const,
      owner: "o",
      mode: "exclusive" as const,
      start: 0,
      end: 9,
    };
    await one.lock(lock, { wait: false, signal: new AbortController().signal });
    await two.reclaim(holder);
    expect(await codeOf(() => one.keepAlive(holder, 0))).toBe("Unavailable");
    expect(two.keepAlive(holder, 0).grantedMs).toBe(CONFIG.ttlMs);
    expect(await two.testLock({ ...lock, session: "other" as never })).toMatchObject({ owner: "o" });
  });

  it("that an administrator sends away gets nothing any more, and is over when it cannot trust anything", async () => {
    const two = await rig.coordinator();
    const holder = await rig.session(one);
    const lock = {
      ...holder,
      inode: file,
      kind: "flock" as const,
      owner: "o",
      mode: "exclusive" as const,
      start: 0,
      end: 9,
    };
    await one.lock(lock, { wait: false, signal: new AbortController().signal });
    await two.evict(holder.session);
    await isDone(Promise.resolve());
    expect(await codeOf(() => one.keepAlive(holder, 0))).toBe("StaleEpoch");
    expect(await two.testLock({ ...lock, session: "other" as never })).toBeDefined();
    await rig.clock.advance(CONFIG.ttlMs);
    expect(await two.testLock({ ...lock, session: "other" as never })).toBeUndefined();
    expect(await codeOf(async () => await two.evict(holder.session))).toBe("NotFound");
  });

  it("covers no more than it may, and there are no more of them than may be", async () => {
    const few = await new SessionsRig({ maxCovered: 1, maxSessions: 1 }).begin();
    const sessions = await few.coordinator();
    const holder = await few.session(sessions);
    expect(await sessions.cover({ ...holder, inodes: [ROOT_INODE, 5 as Inode] })).toEqual([ROOT_INODE]);
    sessions.uncover(holder, [ROOT_INODE]);
    expect(await sessions.cover({ ...holder, inodes: [5 as Inode] })).toEqual([5]);
    expect(await codeOf(async () => await few.session(sessions))).toBe("Overloaded");
    expect(await codeOf(async () => await sessions.open({ host: "a\nb" }))).toBe("InvalidArgument");
  });
});

describe("what is strict", () => {
  it("is trusted by nobody before it is changed, and covered by nobody until that is done", async () => {
    const two = await rig.coordinator();
    const holder = await rig.session(two, { isDeaf: true });
    await holder.cover(directory, [file]);
    const withheld = one.withhold([{ inode: file, parent: directory }]);
    expect(await isDone(withheld)).toBe(false);
    expect(holder.events[0]).toMatchObject({ withheld: [directory], touches: [{ inode: file, parent: directory }] });
    holder.acknowledge();
    const { end, fence } = await withheld;
    expect(await holder.cover(directory, [file])).toEqual([]);
    const newcomer = await rig.session(one);
    expect(await newcomer.cover(directory, [file])).toEqual([]);
    // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
    await rig.kv.transact(function* (tx) {
      fence(tx);
    });
    await end();
    await isDone(Promise.resolve());
    expect(holder.events.at(-1)).toMatchObject({ released: [directory] });
    expect(await newcomer.cover(directory, [file])).toEqual([directory, file]);
  });

  it("cannot be changed any more once its coordinator has lost its place", async () => {
    const { fence } = await one.withhold([{ inode: file, parent: directory }]);
    await one.stop();
    // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
    const change = rig.kv.transact(function* (tx) {
      fence(tx);
      tx.put(Buffer.from("x"), Buffer.from("y"));
    });
    expect(await codeOf(async () => await change)).toBe("StaleEpoch");
  });
});

describe("after a coordinator has ended", () => {
  it("its sessions come back with what they hold, and nothing is answered against those that may yet", async () => {
    const alone = await new SessionsRig({ isShared: false }).begin();
    const before = await alone.coordinator();
    const inode = await alone.make("f");
    const [back, lost] = [await alone.session(before), await alone.session(before)];
    for (const each of [back, lost]) await each.cover(ROOT_INODE, [inode]);
    const lock = { inode, kind: "posix" as const, mode: "exclusive" as const };
    const signal = new AbortController().signal;
    await before.lock({ ...back, ...lock, owner: "b", start: 0, end: 5 }, { wait: false, signal });
    await before.lock({ ...lost, ...lock, owner: "l", start: 5, end: 9 }, { wait: false, signal });
    await before.stop();
    const after = await alone.coordinator();
    const change = alone.change(after, inode);
    await after.reclaim(back);
    const newcomer = await alone.session(after);
    const wanted = after.lock({ ...newcomer, ...lock, owner: "n", start: 6, end: 8 }, { wait: true, signal });
    await alone.clock.advance(CONFIG.ttlMs - 1_000);
    expect([await isDone(change), await isDone(wanted)]).toEqual([false, false]);
    after.keepAlive(back, 0);
    after.keepAlive(newcomer, 0);
    await alone.clock.advance(1_000);
    expect([await isDone(change), await isDone(wanted)]).toEqual([true, true]);
    expect(await codeOf(async () => await after.reclaim(lost))).toBe("StaleEpoch");
    expect(await after.testLock({ ...newcomer, ...lock, owner: "n", start: 0, end: 9 })).toMatchObject({ owner: "b" });
  });

  it("nobody waits longer when all its sessions have come back", async () => {
    const two = await rig.coordinator();
    const holder = await rig.session(two);
    await holder.cover(directory, [file]);
    await two.stop();
    const change = rig.change(one, file);
    expect(await isDone(change)).toBe(false);
    await one.reclaim(holder);
    expect(await isDone(change)).toBe(true);
  });

  it("takes a new place when its lease has ended, and its sessions come back to that", async () => {
    const holder = await rig.session(one);
    const lost = one.stop();
    await lost;
    const next = await rig.coordinator();
    await next.reclaim(holder);
    expect(next.keepAlive(holder, 0).grantedMs).toBe(CONFIG.ttlMs);
  });
});
