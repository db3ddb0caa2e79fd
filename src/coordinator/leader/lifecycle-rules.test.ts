import { describe, expect, it } from "vitest";
import type { LifecycleRule } from "../../namespace/index.ts";
import { dueAfter, expiryOf, isLoneMarkerDue, isNoncurrentDue, matches, type Subject } from "./lifecycle-rules.ts";

const DAY_MS = 100;
const rule = (more: Partial<LifecycleRule> = {}): LifecycleRule => ({ id: "r", enabled: true, filter: {}, ...more });
const subject = (more: Partial<Subject> = {}): Subject => ({ name: "logs/a", createdMs: 150, sizeBytes: 10, ...more });
const marker: Subject = { name: "logs/a", createdMs: 150 };

describe("a rule of a lifecycle", () => {
  it("is about all objects that its filter lets through, while it is enabled", () => {
    expect(matches(rule(), subject())).toBe(true);
    expect(matches(rule({ enabled: false }), subject())).toBe(false);
    for (const [prefix, matched] of [
      ["logs/", true],
      ["logs/b", false],
      ["a", false],
    ] as const)
      expect(matches(rule({ filter: { prefix } }), subject())).toBe(matched);
  });

  it("is about sizes between its bounds, and about no delete marker where it has one", () => {
    const sizes = (filter: LifecycleRule["filter"]): boolean[] =>
      [9, 10, 11].map((sizeBytes) => matches(rule({ filter }), subject({ sizeBytes })));
    expect(sizes({ largerThanBytes: 10 })).toEqual([false, false, true]);
    expect(sizes({ smallerThanBytes: 10 })).toEqual([true, false, false]);
    expect(sizes({ largerThanBytes: 9, smallerThanBytes: 11 })).toEqual([false, true, false]);
    expect(
      [{ largerThanBytes: 0 }, { smallerThanBytes: 1 }].map((filter) => matches(rule({ filter }), marker)),
    ).toEqual([false, false]);
    expect(matches(rule(), marker)).toBe(true);
  });

  it("is about what has all of its tags", () => {
    const filter = { tags: { class: "old", team: "x" } };
    const tagged = (tags: Record<string, string>): boolean => matches(rule({ filter }), subject({ tags }));
    expect(tagged({ class: "old", team: "x", more: "y" })).toBe(true);
    expect([tagged({ class: "old" }), tagged({ class: "new", team: "x" })]).toEqual([false, false]);
    expect(matches(rule({ filter }), subject())).toBe(false);
  });

  it("is due at the midnight after so many days, or at that one itself", () => {
    expect([dueAfter(150, 1, DAY_MS), dueAfter(200, 1, DAY_MS), dueAfter(201, 0, DAY_MS)]).toEqual([300, 300, 300]);
  });
});

describe("the current version of an object", () => {
  it("expires when the first of the rules about it says so, be it by age or by date", () => {
    const rules = [
      rule({ id: "other", filter: { prefix: "x" }, expireAfterDays: 0 }),
      rule({ id: "none", abortUploadsAfterDays: 1 }),
      rule({ id: "later", expireAfterDays: 9 }),
      rule({ id: "age", expireAfterDays: 2 }),
      rule({ id: "same", expireAfterDays: 2 }),
    ];
    expect(expiryOf(rules, subject(), DAY_MS)).toEqual({ ruleId: "age", atMs: 400 });
    expect(expiryOf([...rules, rule({ id: "date", expireAtMs: 399 })], subject(), DAY_MS)).toEqual({
      ruleId: "date",
      atMs: 399,
    });
    expect(expiryOf(rules.slice(0, 2), subject(), DAY_MS)).toBeUndefined();
  });
});

describe("a version that is not current", () => {
  it("goes so many days after a newer one took its place, unless it is among those that are kept", () => {
    const due = (nowMs: number, rank: number, more: Partial<LifecycleRule> = {}): boolean =>
      isNoncurrentDue(
        [rule({ noncurrentDays: 1, ...more })],
        { ...subject(), supersededMs: 150, rank },
        {
          nowMs,
          dayMs: DAY_MS,
        },
      );
    expect([due(299, 1), due(300, 1)]).toEqual([false, true]);
    expect([1, 2, 3].map((rank) => due(300, rank, { noncurrentKept: 2 }))).toEqual([false, false, true]);
    expect(due(300, 1, { filter: { prefix: "x" } })).toBe(false);
    const none = [rule({ expireAfterDays: 1 })];
    expect(isNoncurrentDue(none, { ...subject(), supersededMs: 0, rank: 9 }, { nowMs: 9_999, dayMs: DAY_MS })).toBe(
      false,
    );
  });
});

describe("a delete marker that hides nothing", () => {
  it("goes when a rule says so, or at the age at which objects expire", () => {
    const due = (nowMs: number, more: Partial<LifecycleRule>): boolean =>
      isLoneMarkerDue([rule(more)], marker, { nowMs, dayMs: DAY_MS });
    expect([due(0, { removeLoneDeleteMarkers: true }), due(9_999, { removeLoneDeleteMarkers: false })]).toEqual([
      true,
      false,
    ]);
    expect([due(299, { expireAfterDays: 1 }), due(300, { expireAfterDays: 1 })]).toEqual([false, true]);
    expect(due(9_999, { removeLoneDeleteMarkers: true, filter: { prefix: "x" } })).toBe(false);
  });
});
