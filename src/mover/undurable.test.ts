import { afterEach, describe, expect, it } from "vitest";
import { settle } from "../core/testing/fake-clock.ts";
import type { Kv, Program, TransactOptions, Transaction } from "../kv/index.ts";
import { createMover } from "./mover.ts";
import { gate, MoverRig } from "./testing/rig.ts";

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

/** A mover over a catalog of which nothing more becomes durable until it is opened. */
async function start(): Promise<() => void> {
  rig = new MoverRig(["local", "cloud"]);
  const { passed, open } = gate();
  Object.assign(rig.deps, { kv: { ...rig.kv, flush: async () => await passed } });
  rig.mover = createMover(rig.deps, rig.config);
  await rig.start();
  return open;
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settle();
}

describe("what a job has only read in the catalog", () => {
  it("is durable before an object is removed because of it", async () => {
    const open = await start();
    await rig.put("file", "bytes", { to: [] });
    await rig.remove("file");
    await quiet();
    expect(rig.store("local").count("delete")).toBe(0);
    open();
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });

  it("is durable before a version is published over the one before", async () => {
    const open = await start();
    await rig.put("file", "old", { to: [] });
    await rig.put("file", "new", { to: [] });
    await quiet();
    expect(await rig.bodyAt("local", "file")).toBe("old");
    open();
    await rig.until(async () => (await rig.bodyAt("local", "file")) === "new");
  });

  it("is durable before a copy takes its place at a site", async () => {
    const open = await start();
    await rig.put("file", "bytes");
    await rig.until(() => rig.store("cloud").count("seal") === 1);
    await quiet();
    expect(rig.store("cloud").count("commit")).toBe(0);
    open();
    await rig.until(async () => (await rig.bodyAt("cloud", "file")) === "bytes");
  });

  it("is durable before what a job has written down makes another object superfluous, and the job does not wait for that", async () => {
    rig = new MoverRig(["local"]);
    const events: string[] = [];
    const { kv } = rig;
    Object.assign(rig.deps, {
      kv: {
        ...kv,
        transact: async <T>(program: (tx: Transaction) => Program<T>, options?: TransactOptions): Promise<T> => {
          const value = await kv.transact(program, options);
          events.push(options?.durability ?? "durable");
          return value;
        },
        flush: async () => void events.push("flush"),
      } satisfies Partial<Kv>,
    });
    rig.mover = createMover(rig.deps, rig.config);
    await rig.start();
    await rig.put("file", "old");
    await rig.put("file", "new");
    rig.store("local").script.before = ({ operation }) => void events.push(operation);
    await rig.until(async () => (await rig.mover.depth()) === 0);
    await rig.idle();
    const removed = events.indexOf("delete");
    expect(events.slice(0, removed).findLastIndex((each) => each === "visible")).toBeLessThan(
      events.slice(0, removed).lastIndexOf("flush"),
    );
    expect(events.filter((each) => each === "durable")).toEqual([]);
  });
});
