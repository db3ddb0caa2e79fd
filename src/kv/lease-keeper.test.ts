import { describe, expect, test } from "vitest";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { LeaseKeeper } from "./lease-keeper.ts";

const key = (name: string): Uint8Array => Buffer.from(name);

/** `sweep` removes what was left behind, as a commit does. */
function keeper() {
  const clock = createFakeClock();
  const removed: string[] = [];
  const leases: LeaseKeeper = new LeaseKeeper({
    clock,
    sweep: async () => {
      for (const each of leases.leftBehind) {
        const name = Buffer.from(each).toString();
        removed.push(name);
        leases.bind(name, each, undefined);
      }
    },
  });
  return { clock, leases, removed };
}

describe("leases", () => {
  test("end when their time is over and not before, with their keys", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100, 7);
    expect(lease.epoch).toBe(7);
    leases.bind("a", key("a"), lease.id);
    leases.bind("b", key("b"), lease.id);
    await clock.advance(99);
    leases.assertAlive(lease.id);
    expect([lease.lost.aborted, removed]).toEqual([false, []]);
    await clock.advance(1);
    expect(() => leases.assertAlive(lease.id)).toThrow("has ended");
    expect([lease.lost.aborted, removed]).toEqual([true, ["a", "b"]]);
    await expect(lease.keepAlive()).rejects.toMatchObject({ code: "StaleEpoch" });
    expect(clock.waiting).toBe(0);
  });

  test("are over at their moment, also while the timer is late", async () => {
    const clock = createFakeClock();
    let late = 0;
    const leases = new LeaseKeeper({
      clock: { ...clock, monotonicMs: () => clock.monotonicMs() + late },
      sweep: async () => undefined,
    });
    const lease = leases.grant(100, 1);
    late = 99;
    leases.assertAlive(lease.id);
    late = 100;
    expect(() => leases.assertAlive(lease.id)).toThrow("has ended");
    await expect(lease.keepAlive()).rejects.toMatchObject({ code: "StaleEpoch" });
    leases.close();
  });

  test("that are kept alive live their whole time again, and end once", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100, 1);
    leases.bind("a", key("a"), lease.id);
    await clock.advance(60);
    await lease.keepAlive();
    expect(clock.waiting).toBe(1);
    await clock.advance(99);
    leases.assertAlive(lease.id);
    await clock.advance(1);
    expect([lease.lost.aborted, removed]).toEqual([true, ["a"]]);
  });

  test("that are released end at once, and a second time nothing happens; without keys nothing is removed", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100, 1);
    leases.bind("a", key("a"), lease.id);
    await lease.release();
    await lease.release();
    await leases.grant(50, 2).release();
    expect([lease.lost.aborted, removed, clock.waiting]).toEqual([true, ["a"], 0]);
  });

  test("hold a key until another lease or none takes it", async () => {
    const { leases, removed } = keeper();
    const [one, other] = [leases.grant(100, 1), leases.grant(100, 2)];
    expect(leases.hasBindings).toBe(false);
    expect(leases.bind("a", key("a"), undefined)).toBeUndefined();
    expect(leases.hasBindings).toBe(false);
    for (const name of ["a", "b", "c"]) leases.bind(name, key(name), one.id);
    leases.bind("b", key("b"), other.id);
    leases.bind("c", key("c"), undefined);
    await one.release();
    expect(removed).toEqual(["a"]);
    expect(leases.hasBindings).toBe(true);
    await other.release();
    expect(removed).toEqual(["a", "b"]);
    expect(leases.hasBindings).toBe(false);
  });

  test("do not get a key back from a commit that failed when another has bound it meanwhile", async () => {
    const { leases, removed } = keeper();
    const [one, other] = [leases.grant(100, 1), leases.grant(100, 2)];
    const undo = leases.bind("a", key("a"), one.id);
    leases.bind("a", key("a"), other.id);
    undo?.();
    await one.release();
    expect(removed).toEqual([]);
    await other.release();
    expect(removed).toEqual(["a"]);
  });

  test("are all lost when the keeper closes, which leaves their keys to the next start", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100, 1);
    leases.bind("a", key("a"), lease.id);
    leases.close();
    expect([lease.lost.aborted, clock.waiting]).toEqual([true, 0]);
    await lease.release();
    expect(removed).toEqual([]);
    expect(() => leases.assertAlive(lease.id)).toThrow("has ended");
  });
});
