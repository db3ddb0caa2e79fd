import { expect, test } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { type Inode, ROOT_INODE } from "../../src/core/ids.ts";
import { momentOf } from "../../src/core/moment.ts";
import type { Kv } from "../../src/kv/index.ts";
import { posix } from "../../src/namespace/index.ts";
import { coherentKv, Holder, requireWriteLease, type Sessions } from "../../src/sessions/index.ts";
import { CONFIG, isDone, SessionsRig } from "../../src/sessions/testing/rig.ts";

/** What those who cache may rely on. `tests/sim/sessions.test.ts` looks for what these overlook. */

const signal = new AbortController().signal;

/** A client that answers from what it has read, as long as it may. */
class Cache {
  readonly holder: Holder<number>;
  readonly #rig: SessionsRig;
  readonly #sessions: Sessions;
  readonly #session: Awaited<ReturnType<Sessions["open"]>>;
  hears = true;
  #unheard: (() => void)[] = [];

  constructor(rig: SessionsRig, sessions: Sessions, session: Awaited<ReturnType<Sessions["open"]>>) {
    this.#rig = rig;
    this.#sessions = sessions;
    this.#session = session;
    this.holder = new Holder(rig.clock, { most: 100 });
    sessions.attach(session, {
      push: (event) => {
        const hear = (): void => {
          this.holder.apply(event);
          sessions.acknowledge(session, event.revision);
        };
        if (this.hears) hear();
        else this.#unheard.push(hear);
      },
    });
    this.keepAlive();
  }

  static async open(rig: SessionsRig, sessions: Sessions): Promise<Cache> {
    return new Cache(rig, sessions, await sessions.open({ host: "client" }));
  }

  keepAlive(): void {
    const sentAtMs = this.#rig.clock.monotonicMs();
    const { grantedMs } = this.#sessions.keepAlive(this.#session, this.holder.acknowledged);
    this.holder.renewed({ sentAtMs, grantedMs });
  }

  catchUp(): void {
    this.hears = true;
    for (const hear of this.#unheard.splice(0)) hear();
  }

  /** The owner of the file, from what it has, or asked for. */
  async read(inode: Inode): Promise<number> {
    const known = this.holder.inode(inode);
    if (known !== undefined) return known;
    const covered = await this.#sessions.cover({ ...this.#session, under: ROOT_INODE, inodes: [inode] });
    const revision = await this.#rig.kv.revision();
    const { uid } = await this.#rig.kv.view((tx) => posix.getattr(tx, inode));
    this.holder.learn({ revision, covered, inodes: [{ inode, under: ROOT_INODE, value: uid }] });
    return uid;
  }
}

async function setUid(kv: Kv, inode: Inode, uid: number): Promise<void> {
  await kv.transact((tx) => posix.setattr(tx, { inode, uid, now: momentOf(uid) }));
}

async function begin(): Promise<{ rig: SessionsRig; one: Sessions; two: Sessions; file: Inode }> {
  const rig = await new SessionsRig().begin();
  return { rig, one: await rig.coordinator(), two: await rig.coordinator(), file: await rig.make("f") };
}

test("S1 a change is answered when all who cover what it touches know of it, or may not trust what they have", async () => {
  const { rig, one, two, file } = await begin();
  const [near, far] = [await Cache.open(rig, one), await Cache.open(rig, two)];
  for (const each of [near, far]) expect(await each.read(file)).toBe(0);
  await setUid(coherentKv(rig.kv, one), file, 7);
  for (const each of [near, far]) expect([each.holder.inode(file), await each.read(file)]).toEqual([undefined, 7]);
  far.hears = false;
  const change = setUid(coherentKv(rig.kv, one), file, 8);
  expect(await isDone(change)).toBe(false);
  expect([await near.read(file), await far.read(file)]).toEqual([8, 7]);
  await rig.clock.advance(CONFIG.ttlMs);
  await change;
  expect(far.holder.inode(file)).toBeUndefined();
});

test("S2 what is strict is let go of by all before it is changed, and trusted by nobody until it is", async () => {
  const { rig, one, two, file } = await begin();
  const far = await Cache.open(rig, two);
  expect(await far.read(file)).toBe(0);
  const { end, fence } = await one.withhold([{ inode: file, parent: ROOT_INODE }]);
  expect([far.holder.inode(file), await far.read(file), far.holder.inode(file)]).toEqual([undefined, 0, undefined]);
  await rig.kv.transact(function* (tx) {
    fence(tx);
    yield* posix.setattr(tx, { inode: file, uid: 7, now: momentOf(7) });
  });
  await end();
  await isDone(Promise.resolve());
  expect([await far.read(file), far.holder.inode(file)]).toEqual([7, 7]);
});

test("S3 what is eventual waits for nobody, and is heard of", async () => {
  const { rig, one, two, file } = await begin();
  const far = await Cache.open(rig, two);
  await far.read(file);
  far.hears = false;
  await setUid(coherentKv(rig.kv, one, { modeOf: async () => "eventual" }), file, 7);
  expect(await far.read(file)).toBe(0);
  far.catchUp();
  expect(await far.read(file)).toBe(7);
});

test("S4 a change waits for nobody longer than he may trust what he has, and for nobody whom it does not concern", async () => {
  const { rig, one, two, file } = await begin();
  const other = await rig.make("other", { kind: "directory" });
  const far = await Cache.open(rig, two);
  await far.read(file);
  far.hears = false;
  expect(await isDone(setUid(coherentKv(rig.kv, one), await rig.make("g", { parent: other }), 1))).toBe(true);
  const change = setUid(coherentKv(rig.kv, one), file, 7);
  for (let third = 0; third < 3; third++) {
    expect(await isDone(change)).toBe(false);
    far.keepAlive();
    await rig.clock.advance(CONFIG.ttlMs / 3);
  }
  await change;
  expect(far.holder.isTrusted).toBe(false);
});

test("S5 one session at most writes by lease, for as long as nobody has taken it back", async () => {
  const { rig, one, two, file } = await begin();
  const [a, b] = [await rig.session(one), await rig.session(two)];
  const first = await one.takeWriteLease(a, file, { wait: false, signal });
  const wanted = two.takeWriteLease(b, file, { wait: true, signal });
  expect(await isDone(wanted)).toBe(false);
  expect(a.events.at(-1)?.recalls).toMatchObject([{ inode: file, epoch: first.epoch }]);
  await rig.clock.advance(CONFIG.recallMs);
  const second = await wanted;
  expect(second.epoch).toBeGreaterThan(first.epoch);
  const stale = rig.kv.transact((tx) => requireWriteLease(tx, { inode: file, ...first }));
  await expect(stale).rejects.toMatchObject({ code: "StaleEpoch" });
  await rig.kv.transact((tx) => requireWriteLease(tx, { inode: file, ...second }));
});

test("S6 locks exclude sessions of all coordinators, go with their session, and are refused where all would wait for ever", async () => {
  const { rig, one, two, file } = await begin();
  const [a, b] = [await rig.session(one), await rig.session(two)];
  const other = await rig.make("g");
  const lock = { kind: "posix" as const, owner: "p", mode: "exclusive" as const, start: 0, end: 10 };
  await one.lock({ ...a, ...lock, inode: file }, { wait: false, signal });
  await two.lock({ ...b, ...lock, inode: other }, { wait: false, signal });
  const waits = two.lock({ ...b, ...lock, inode: file }, { wait: true, signal });
  expect(await isDone(waits)).toBe(false);
  const circle = one.lock({ ...a, ...lock, inode: other }, { wait: true, signal });
  await expect(circle).rejects.toSatisfy((error) => isGfsError(error) && error.meaning.errno === "EDEADLK");
  await one.end(a);
  await waits;
});

test("S7 the sessions of a coordinator that dies come back with what they hold, and nothing is answered against those that may yet", async () => {
  const { rig, one, two, file } = await begin();
  const [back, late] = [await rig.session(two), await rig.session(two)];
  for (const each of [back, late]) await each.cover(ROOT_INODE, [file]);
  const lock = { inode: file, kind: "flock" as const, owner: "o", mode: "exclusive" as const, start: 0, end: 1 };
  await two.lock({ ...back, ...lock }, { wait: false, signal });
  await two.stop();
  const change = setUid(coherentKv(rig.kv, one), file, 7);
  await one.reclaim(back);
  const stranger = await rig.session(one);
  await expect(one.lock({ ...stranger, ...lock }, { wait: false, signal })).rejects.toMatchObject({ code: "Conflict" });
  await rig.clock.advance(CONFIG.ttlMs - 1);
  expect(await isDone(change)).toBe(false);
  await rig.clock.advance(1);
  await change;
});
