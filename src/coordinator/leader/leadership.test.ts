import { afterEach, describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { createFakeClock, settle } from "../../core/testing/fake-clock.ts";
import { createMemoryKv, encodeKey, type Kv, type Program } from "../../kv/index.ts";
import { createLeadership, type Leadership } from "./leadership.ts";

const SEAT = encodeKey("coordinator-leader");
const LEASE_MS = 3_000;

const running: Leadership[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

function rig() {
  const clock = createFakeClock();
  const kv = createMemoryKv({ clock });
  const events: string[] = [];
  let fault: GfsError | undefined;
  const candidate = (identity: string): Leadership => {
    const leadership = createLeadership({
      kv,
      clock,
      log: silentLogger,
      identity,
      leaseMs: LEASE_MS,
      onGained: async () => {
        if (fault !== undefined) throw fault;
        events.push(`${identity} gained`);
      },
      onLost: async () => void events.push(`${identity} lost`),
    });
    running.push(leadership);
    return leadership;
  };
  return { clock, kv, events, candidate, failWith: (error: GfsError | undefined) => void (fault = error) };
}

async function holderOf(kv: Kv): Promise<string | undefined> {
  const holder = await kv.view((tx) => tx.get(SEAT));
  return holder === undefined ? undefined : Buffer.from(holder).toString();
}

async function put(kv: Kv, value: string | undefined): Promise<void> {
  await kv.transact(function* (tx): Program<void> {
    if (value === undefined) tx.delete(SEAT);
    else tx.put(SEAT, Buffer.from(value));
  });
}

describe("the seat of the leader", () => {
  it("is one's who came first, and the next one's when that stops", async () => {
    const { clock, kv, events, candidate } = rig();
    const first = candidate("first");
    const second = candidate("second");
    await first.start();
    await second.start();
    expect([first.isLeader, second.isLeader, await holderOf(kv)]).toEqual([true, false, "first"]);
    await clock.advance(5 * LEASE_MS);
    expect([first.isLeader, second.isLeader]).toEqual([true, false]);
    const stopped = first.stop();
    await clock.advance(LEASE_MS);
    await stopped;
    await settle();
    expect([first.isLeader, second.isLeader, await holderOf(kv)]).toEqual([false, true, "second"]);
    expect(events).toEqual(["first gained", "second gained"]);
  });

  it("is given up within a lease and campaigned for again when its row is gone", async () => {
    const { clock, kv, events, candidate } = rig();
    const leader = candidate("first");
    await leader.start();
    await put(kv, undefined);
    await clock.advance(LEASE_MS);
    expect([leader.isLeader, await holderOf(kv)]).toEqual([true, "first"]);
    expect(events).toEqual(["first gained", "first lost", "first gained"]);
  });

  it("is given up within a lease when its row is another's, and left alone until that has gone", async () => {
    const { clock, kv, events, candidate } = rig();
    const leader = candidate("first");
    await leader.start();
    await put(kv, "another");
    await clock.advance(LEASE_MS);
    await clock.advance(LEASE_MS);
    expect([leader.isLeader, await holderOf(kv), events.at(-1)]).toEqual([false, "another", "first lost"]);
    await put(kv, undefined);
    await clock.advance(LEASE_MS);
    expect([leader.isLeader, await holderOf(kv), events.at(-1)]).toEqual([true, "first", "first gained"]);
  });

  it("is nobody's while the work of a leader cannot be begun", async () => {
    const { clock, kv, events, candidate, failWith } = rig();
    failWith(new GfsError("NoSpace", "The disk is full."));
    const leader = candidate("first");
    await expect(leader.start()).rejects.toMatchObject({ code: "NoSpace" });
    expect([leader.isLeader, await holderOf(kv), events]).toEqual([false, undefined, ["first lost"]]);
    failWith(undefined);
    await leader.start();
    await clock.advance(LEASE_MS);
    expect([leader.isLeader, events.at(-1)]).toEqual([true, "first gained"]);
  });
});

describe("a lease that cannot be renewed", () => {
  it("ends the work of the leader at once, and the seat is campaigned for again", async () => {
    const { clock, kv, events, candidate } = rig();
    const { lease } = kv;
    let fails = false;
    Object.assign(kv, {
      lease: async (ttlMs: number) => {
        const made = await lease(ttlMs);
        const lost = new AbortController();
        return {
          ...made,
          id: made.id,
          lost: lost.signal,
          release: () => made.release(),
          async keepAlive() {
            if (!fails) return await made.keepAlive();
            lost.abort();
            throw new GfsError("Unavailable", "The catalog does not answer.");
          },
        };
      },
    });
    const leader = candidate("first");
    await leader.start();
    fails = true;
    await clock.advance(LEASE_MS / 3);
    expect([leader.isLeader, events]).toEqual([false, ["first gained", "first lost"]]);
    fails = false;
    await clock.advance(LEASE_MS);
    expect([leader.isLeader, events.at(-1)]).toEqual([true, "first gained"]);
  });

  it("is found out at the next look when it ended by itself", async () => {
    const { clock, kv, events, candidate } = rig();
    const { lease } = kv;
    const lost = new AbortController();
    let leases = 0;
    Object.assign(kv, {
      lease: async (ttlMs: number) => {
        const made = await lease(ttlMs);
        leases += 1;
        return leases > 1
          ? made
          : {
              id: made.id,
              lost: lost.signal,
              release: () => made.release(),
              keepAlive: () => Promise.reject(new Error("It is not asked any more.")),
            };
      },
    });
    const leader = candidate("first");
    await leader.start();
    lost.abort();
    expect(leader.isLeader).toBe(false);
    await clock.advance(LEASE_MS / 3);
    expect([leader.isLeader, events]).toEqual([true, ["first gained", "first lost", "first gained"]]);
  });
});
