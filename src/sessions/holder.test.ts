import { describe, expect, it } from "vitest";
import type { Inode } from "../core/ids.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { Holder } from "./index.ts";

const [DIRECTORY, FILE] = [1 as Inode, 2 as Inode];

function begin(): { clock: ReturnType<typeof createFakeClock>; holder: Holder<string> } {
  const clock = createFakeClock();
  const holder = new Holder<string>(clock, { most: 3 });
  holder.renewed({ sentAtMs: clock.monotonicMs(), grantedMs: 10_000 });
  return { clock, holder };
}

const learned = (revision: number, value = "old") => ({
  revision,
  covered: [DIRECTORY, FILE],
  names: [{ parent: DIRECTORY, name: "f", value }],
  inodes: [{ inode: FILE, under: DIRECTORY, value }],
});

describe("a holder", () => {
  it("answers from what is covered, until a margin before its time is over, counted from when it asked", async () => {
    const { clock, holder } = begin();
    holder.learn(learned(5));
    holder.learn({ revision: 5, covered: [], inodes: [{ inode: 9 as Inode, value: "x" }] });
    expect([holder.name(DIRECTORY, "f"), holder.inode(FILE), holder.inode(9 as Inode)]).toEqual([
      "old",
      "old",
      undefined,
    ]);
    await clock.advance(5_000);
    const sentAtMs = clock.monotonicMs();
    await clock.advance(1_000);
    holder.renewed({ sentAtMs, grantedMs: 10_000 });
    await clock.advance(7_999);
    expect(holder.inode(FILE)).toBe("old");
    await clock.advance(1);
    expect(holder.inode(FILE)).toBeUndefined();
    holder.renewed({ sentAtMs: clock.monotonicMs(), grantedMs: 10_000 });
    expect(holder.inode(FILE)).toBe("old");
  });

  it("forgets what was touched, and takes no answer that was read before that", () => {
    const { holder } = begin();
    holder.learn(learned(5));
    holder.apply({ revision: 6, touches: [{ inode: FILE, parent: DIRECTORY }] });
    expect([holder.name(DIRECTORY, "f"), holder.inode(FILE)]).toEqual(["old", undefined]);
    holder.learn(learned(5));
    expect(holder.inode(FILE)).toBeUndefined();
    holder.learn(learned(6, "new"));
    expect(holder.inode(FILE)).toBe("new");
    expect(holder.acknowledged).toBe(6);
    holder.apply({ revision: 7, touches: [{ parent: DIRECTORY, name: "f" }] });
    expect([holder.name(DIRECTORY, "f"), holder.inode(FILE)]).toEqual([undefined, "new"]);
  });

  it("trusts nothing of what is withheld, however new, until it is released", () => {
    const { holder } = begin();
    holder.learn(learned(5));
    holder.apply({ revision: 6, touches: [], withheld: [DIRECTORY] });
    holder.learn(learned(7));
    expect([holder.name(DIRECTORY, "f"), holder.inode(FILE)]).toEqual([undefined, undefined]);
    holder.apply({ revision: 8, touches: [], released: [DIRECTORY] });
    expect(holder.inode(FILE)).toBe("old");
  });

  it("reads again when it was cut off, and after it has dropped what it covers", () => {
    const { holder } = begin();
    holder.learn(learned(5));
    holder.drop([DIRECTORY]);
    expect(holder.inode(FILE)).toBeUndefined();
    holder.learn(learned(5));
    holder.apply({ revision: 6, touches: [], everything: true });
    expect([holder.name(DIRECTORY, "f"), holder.inode(FILE), holder.acknowledged]).toEqual([undefined, undefined, 6]);
  });

  it("keeps no more than it may, and is none the staler for what it has forgotten", () => {
    const { holder } = begin();
    for (let inode = 10; inode < 20; inode++) holder.apply({ revision: inode, touches: [{ inode: inode as Inode }] });
    holder.learn({ revision: 9, covered: [10 as Inode], inodes: [{ inode: 10 as Inode, value: "stale" }] });
    expect(holder.inode(10 as Inode)).toBeUndefined();
    for (let inode = 10; inode < 20; inode++)
      holder.learn({ revision: 99, covered: [inode as Inode], inodes: [{ inode: inode as Inode, value: "new" }] });
    expect([holder.inode(16 as Inode), holder.inode(17 as Inode)]).toEqual([undefined, "new"]);
  });

  it("writes by a lease until that is wanted back and its time is over, whichever of the two it hears first", async () => {
    const { clock, holder } = begin();
    holder.leased(FILE, 70);
    expect(holder.writing(FILE)).toBe(70);
    const recall = { revision: 6, touches: [], recalls: [{ inode: FILE, epoch: 70, withinMs: 1_000 }] };
    holder.apply(recall);
    await clock.advance(800);
    holder.apply({ ...recall, revision: 7 });
    holder.leased(FILE, 70);
    expect(holder.writing(FILE)).toBe(70);
    await clock.advance(100);
    expect(holder.writing(FILE)).toBeUndefined();
    holder.leased(FILE, 90);
    expect(holder.writing(FILE)).toBe(90);
    holder.returned(FILE);
    expect(holder.writing(FILE)).toBeUndefined();
    holder.leased(FILE, 95);
    holder.end();
    holder.renewed({ sentAtMs: clock.monotonicMs(), grantedMs: 10_000 });
    expect(holder.writing(FILE)).toBeUndefined();
  });
});
