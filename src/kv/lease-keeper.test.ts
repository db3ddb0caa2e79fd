import { describe, expect, test } from "vitest";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { LeaseKeeper } from "./lease-keeper.ts";

const key = (name: string): Uint8Array => Buffer.from(name);

function keeper() {
  const clock = createFakeClock();
  const removed: string[][] = [];
  const leases = new LeaseKeeper({
    clock,
    removeKeys: async (_lease, keys) => void removed.push(keys.map((one) => Buffer.from(one).toString())),
  });
  return { clock, leases, removed };
}

describe("leases", () => {
  test("live longer than no time at all", () => {
    const { leases } = keeper();
    for (const ttlMs of [0, -1, Number.NaN]) expect(() => leases.grant(ttlMs)).toThrow("longer than zero");
    expect(leases.grant(1).lost.aborted).toBe(false);
  });

  test("end when their time is over and not before, with their keys", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100);
    leases.bind("a", key("a"), lease.id);
    leases.bind("b", key("b"), lease.id);
    await clock.advance(99);
    leases.assertAlive(lease.id);
    expect([lease.lost.aborted, removed]).toEqual([false, []]);
    await clock.advance(1);
    expect(() => leases.assertAlive(lease.id)).toThrow("has ended");
    expect([lease.lost.aborted, removed]).toEqual([true, [["a", "b"]]]);
    await expect(lease.keepAlive()).rejects.toMatchObject({ code: "StaleEpoch" });
    expect(clock.waiting).toBe(0);
  });

  test("that are kept alive live their whole time again, and end once", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100);
    leases.bind("a", key("a"), lease.id);
    await clock.advance(60);
    await lease.keepAlive();
    expect(clock.waiting).toBe(1);
    await clock.advance(99);
    leases.assertAlive(lease.id);
    await clock.advance(1);
    expect([lease.lost.aborted, removed]).toEqual([true, [["a"]]]);
  });

  test("that are released end at once, and a second time nothing happens; without keys nothing is removed", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100);
    leases.bind("a", key("a"), lease.id);
    await lease.release();
    await lease.release();
    await leases.grant(50).release();
    expect([lease.lost.aborted, removed, clock.waiting]).toEqual([true, [["a"]], 0]);
  });

  test("hold a key until another lease or none takes it", async () => {
    const { leases, removed } = keeper();
    const [one, other] = [leases.grant(100), leases.grant(100)];
    expect(leases.hasBindings).toBe(false);
    leases.bind("a", key("a"), undefined);
    expect(leases.hasBindings).toBe(false);
    for (const name of ["a", "b", "c"]) leases.bind(name, key(name), one.id);
    leases.bind("b", key("b"), other.id);
    leases.bind("c", key("c"), undefined);
    expect(leases.isBound("a", one.id)).toBe(true);
    expect([leases.isBound("b", one.id), leases.isBound("b", other.id), leases.isBound("c", one.id)]).toEqual([
      false,
      true,
      false,
    ]);
    await one.release();
    expect(removed).toEqual([["a"]]);
    leases.bind("a", key("a"), undefined);
    leases.bind("b", key("b"), undefined);
    expect(leases.hasBindings).toBe(false);
    await other.release();
    expect(removed).toEqual([["a"]]);
  });

  test("are all lost when the keeper closes, which leaves their keys to the next start", async () => {
    const { clock, leases, removed } = keeper();
    const lease = leases.grant(100);
    leases.bind("a", key("a"), lease.id);
    leases.close();
    expect([lease.lost.aborted, clock.waiting]).toEqual([true, 0]);
    await lease.release();
    expect(removed).toEqual([]);
    expect(() => leases.assertAlive(lease.id)).toThrow("has ended");
  });
});
