import { beforeEach, describe, expect, it } from "vitest";
import type { Inode } from "../core/ids.ts";
import { isGfsError } from "../core/errors.ts";
import { posix } from "../namespace/index.ts";
import { momentOf } from "../core/moment.ts";
import type { LockKind, LockMode, Sessions } from "./index.ts";
import { requireWriteLease, TO_THE_END } from "./index.ts";
import { CONFIG, isDone, SessionsRig, type TestSession } from "./testing/rig.ts";

let rig: SessionsRig;
let one: Sessions;
let two: Sessions;
let file: Inode;
let other: Inode;

beforeEach(async () => {
  rig = await new SessionsRig().begin();
  one = await rig.coordinator();
  two = await rig.coordinator();
  file = await rig.make("f");
  other = await rig.make("g");
});

interface Want {
  readonly inode?: Inode;
  readonly kind?: LockKind;
  readonly owner?: string;
  readonly mode?: LockMode;
  readonly span?: readonly [number, number];
  readonly wait?: boolean;
  readonly signal?: AbortSignal;
}

const lock = async (session: TestSession, want: Want = {}): Promise<void> => {
  const { inode = file, kind = "posix", owner = "p", mode = "exclusive", span = [0, 10], wait = true } = want;
  const request = { ...session, inode, kind, owner, mode, start: span[0], end: span[1] };
  await session.sessions.lock(request, { wait, signal: want.signal ?? new AbortController().signal });
};

const unlock = async (session: TestSession, want: Want = {}): Promise<void> => {
  const { inode = file, kind = "posix", owner = "p", span = [0, 10] } = want;
  await session.sessions.unlock({ ...session, inode, kind, owner, start: span[0], end: span[1] });
};

const outcome = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => "had",
    (error: unknown) => (isGfsError(error) ? error.code : String(error)),
  );

describe("a lock", () => {
  it("excludes sessions of every coordinator from what it covers, and nobody from the rest", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    await lock(a, { span: [10, 20] });
    expect(await outcome(lock(b, { wait: false, span: [19, TO_THE_END] }))).toBe("Conflict");
    expect(await outcome(lock(b, { wait: false, span: [20, TO_THE_END] }))).toBe("had");
    expect(await outcome(lock(b, { wait: false, span: [0, 10] }))).toBe("had");
    expect(await outcome(lock(b, { wait: false, kind: "flock", span: [0, TO_THE_END] }))).toBe("had");
    expect(await outcome(lock(b, { wait: false, inode: other }))).toBe("had");
  });

  it("is shared by those who only read", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    await lock(a, { mode: "shared" });
    expect(await outcome(lock(b, { mode: "shared", wait: false }))).toBe("had");
    expect(await outcome(lock(a, { wait: false }))).toBe("Conflict");
    await unlock(b);
    expect(await outcome(lock(a, { wait: false }))).toBe("had");
  });

  it("of bytes is cut where a piece of it is let go of, and tells whose it is", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    await lock(a, { span: [0, 100] });
    await unlock(a, { span: [40, 60] });
    expect(await outcome(lock(b, { span: [40, 60], wait: false }))).toBe("had");
    const request = { ...b, inode: file, kind: "posix" as const, owner: "q", mode: "shared" as const };
    expect(await two.testLock({ ...request, start: 60, end: 70 })).toEqual({
      session: a.session,
      owner: "p",
      start: 60,
      end: 100,
      mode: "exclusive",
    });
    expect(await two.testLock({ ...request, session: a.session, owner: "p", start: 60, end: 70 })).toBeUndefined();
  });

  it("that is free goes to who has waited longest, and none that came later passes", async () => {
    const [a, b, c, d] = [
      await rig.session(one),
      await rig.session(two),
      await rig.session(one),
      await rig.session(two),
    ];
    await lock(a, { mode: "shared" });
    const second = lock(b);
    await isDone(second);
    const third = lock(c, { mode: "shared" });
    const fourth = lock(d, { mode: "shared" });
    expect(await isDone(Promise.race([second, third, fourth]))).toBe(false);
    await unlock(a);
    expect([await isDone(second), await isDone(third)]).toEqual([true, false]);
    await unlock(b);
    expect([await isDone(third), await isDone(fourth)]).toEqual([true, true]);
  });

  it("that closes a circle of those who wait is refused, over files, sessions and coordinators", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(one)];
    const third = await rig.make("h");
    await lock(a);
    await lock(b, { inode: other });
    await lock(c, { inode: third });
    const [waits, too] = [lock(a, { inode: other }), lock(b, { inode: third })];
    expect(await isDone(Promise.race([waits, too]))).toBe(false);
    expect(await outcome(lock(c))).toBe("Deadlock");
    await unlock(c, { inode: third });
    await too;
    await unlock(b, { inode: other });
    await waits;
  });

  it("that two who share it both want for themselves is refused to the second", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    await lock(a, { mode: "shared" });
    await lock(b, { mode: "shared" });
    const first = lock(a);
    expect(await isDone(first)).toBe(false);
    expect(await outcome(lock(b))).toBe("Deadlock");
    await unlock(b);
    await first;
  });

  it("is given out of turn where taking turns alone would have everybody wait", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(one)];
    await lock(c, { inode: other });
    await lock(a, { mode: "shared" });
    const writer = lock(b);
    await isDone(writer);
    // Behind the writer, who waits for `a`: nothing is wrong yet.
    const reader = lock(c, { mode: "shared" });
    expect(await isDone(reader)).toBe(false);
    // Now `a` waits for who waits behind who waits for `a`.
    const circle = lock(a, { inode: other });
    expect(await isDone(circle)).toBe(false);
    await rig.clock.advance(CONFIG.leaseMs / 2);
    expect(await isDone(reader)).toBe(true);
    await unlock(c);
    await unlock(c, { inode: other });
    await circle;
    await unlock(a);
    await writer;
  });

  it("is waited for no longer when that is given up, and others go on", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(one)];
    await lock(a, { mode: "shared" });
    const giveUp = new AbortController();
    const writer = outcome(lock(b, { signal: giveUp.signal }));
    await isDone(writer);
    const reader = lock(c, { mode: "shared" });
    expect(await isDone(reader)).toBe(false);
    giveUp.abort();
    expect(await writer).toBe("Canceled");
    expect(await isDone(reader)).toBe(true);
    expect(await outcome(lock(b, { signal: giveUp.signal }))).toBe("Canceled");
  });

  it("goes with its session, as does the waiting for one", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(one)];
    await lock(a);
    const gone = outcome(lock(b));
    await isDone(gone);
    const waits = lock(c);
    const alive = async (...sessions: readonly TestSession[]): Promise<void> => {
      for (const each of sessions) each.sessions.keepAlive(each, 0);
      await rig.clock.advance(CONFIG.ttlMs / 2 + 500);
    };
    await alive(a, b, c);
    await alive(a, c);
    expect(await gone).toBe("StaleEpoch");
    expect(await isDone(waits)).toBe(false);
    await alive(c);
    await waits;
    expect(await outcome((async () => await unlock(a))())).toBe("StaleEpoch");
  });

  it("goes with the file that was closed, as far as its owner had it", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    await lock(a, { span: [0, 5] });
    await lock(a, { span: [7, 9] });
    await lock(a, { span: [20, 22], owner: "q" });
    await one.unlockAll({ ...a, inode: file, kind: "posix", owner: "p" });
    expect(await outcome(lock(b, { span: [0, 10], wait: false }))).toBe("had");
    expect(await outcome(lock(b, { span: [20, 21], wait: false }))).toBe("Conflict");
  });

  it("of flock is let go of before it is had in another mode, and lost when that cannot be", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(one)];
    const whole: Want = { kind: "flock", span: [0, TO_THE_END], mode: "shared" };
    await lock(a, whole);
    await lock(b, whole);
    expect(await outcome(lock(a, { ...whole, mode: "exclusive", wait: false }))).toBe("Conflict");
    await unlock(b, whole);
    expect(await outcome(lock(c, { ...whole, mode: "exclusive", wait: false }))).toBe("had");
  });

  it("is refused where it says nothing, and beyond what one session may have", async () => {
    const a = await rig.session(one);
    expect(await outcome(lock(a, { span: [5, 5] }))).toBe("InvalidArgument");
    expect(await outcome(lock(a, { span: [-1, 5] }))).toBe("InvalidArgument");
    expect(await outcome(lock(a, { owner: "a\0b" }))).toBe("InvalidArgument");
    const few = await rig.coordinator({ maxLocks: 2 });
    const b = await rig.session(few);
    await lock(b, { owner: "p", span: [0, 1] });
    await lock(b, { owner: "q", span: [1, 2] });
    expect(await outcome(lock(b, { owner: "r", span: [2, 3] }))).toBe("NoLocks");
    expect(await outcome(lock(b, { owner: "q", span: [5, 6] }))).toBe("had");
    await few.unlockAll({ ...b, inode: file, kind: "posix", owner: "p" });
    expect(await outcome(lock(b, { owner: "r", span: [2, 3] }))).toBe("had");
  });

  it("of many waiters is handed on in more transactions than one", async () => {
    const a = await rig.session(one);
    const many = await Promise.all(Array.from({ length: 60 }, async () => await rig.session(two)));
    await lock(a);
    const waits = many.map(async (each) => await lock(each, { mode: "shared" }));
    await isDone(Promise.all(waits));
    await unlock(a);
    await Promise.all(waits);
  });
});

describe("a write lease", () => {
  const take = async (session: TestSession, { wait = true } = {}): Promise<number> => {
    const options = { wait, signal: new AbortController().signal };
    return (await session.sessions.takeWriteLease(session, file, options)).epoch;
  };
  const write = async (epoch: number): Promise<string> =>
    await outcome(
      rig.kv.transact(function* (tx) {
        yield* requireWriteLease(tx, { inode: file, epoch });
        yield* posix.setattr(tx, { inode: file, uid: epoch, now: momentOf(1) });
      }),
    );

  it("is one session's alone, and its epoch is higher than any before", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    const first = await take(a);
    expect(await take(a)).toBe(first);
    expect(await outcome(take(b, { wait: false }))).toBe("Conflict");
    await one.releaseWriteLease(a, file);
    const second = await take(b);
    expect(second).toBeGreaterThan(first);
    expect([await write(first), await write(second)]).toEqual(["StaleEpoch", "had"]);
  });

  it("is had when nobody trusts any more what is told of the file, and nobody covers it meanwhile", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two, { isDeaf: true })];
    await b.cover(1 as Inode, [file]);
    const lease = take(a);
    expect(await isDone(lease)).toBe(false);
    expect(b.events[0]).toMatchObject({ withheld: [file] });
    b.acknowledge();
    await lease;
    expect(await b.cover(1 as Inode, [file, other])).toEqual([1, other]);
    expect(await b.sessions.cover({ ...b, inodes: [file] })).toEqual([]);
    expect(await one.downgrade(a, file)).toBe(true);
    await isDone(Promise.resolve());
    expect(b.events.at(-1)?.released).toEqual([file]);
    expect(await b.cover(1 as Inode, [file])).toEqual([1, file]);
  });

  it("is wanted back when another wants it, or wants to read, and goes when that is heard and its time is over", async () => {
    const [a, b, c] = [await rig.session(one), await rig.session(two), await rig.session(two)];
    const epoch = await take(a);
    const reads = two.awaitWriter(c, file, { wait: true, signal: new AbortController().signal });
    const writes = take(b);
    await isDone(writes);
    expect(a.events.at(-1)?.recalls).toEqual([{ inode: file, epoch, withinMs: CONFIG.recallMs }]);
    await rig.clock.advance(CONFIG.recallMs - 100);
    expect([await isDone(reads), await isDone(writes)]).toEqual([false, false]);
    expect(await write(epoch)).toBe("had");
    await rig.clock.advance(200);
    await reads;
    expect(await writes).toBeGreaterThan(epoch);
    expect(await write(epoch)).toBe("StaleEpoch");
  });

  it("of who does not hear that it is wanted goes with its session", async () => {
    const [a, b] = [await rig.session(one, { isDeaf: true }), await rig.session(two)];
    await take(a);
    const writes = take(b);
    await rig.clock.advance(CONFIG.ttlMs - 1_000);
    expect(await isDone(writes)).toBe(false);
    two.keepAlive(b, 0);
    await rig.clock.advance(1_500);
    await writes;
  });

  it("comes along to another coordinator, which tells who has it that it is wanted", async () => {
    const [a, b] = [await rig.session(one), await rig.session(two)];
    const epoch = await take(a);
    await one.stop();
    const writes = take(b);
    await isDone(writes);
    await two.reclaim(a);
    const moved = rig.attach(two, a);
    expect(moved.events[0]?.recalls).toEqual([{ inode: file, epoch, withinMs: CONFIG.recallMs }]);
    await two.releaseWriteLease(a, file);
    await writes;
  });
});
