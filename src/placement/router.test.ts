import { describe, expect, it } from "vitest";
import type { SiteName } from "../core/ids.ts";
import type { BreakerState, Site } from "../stores/index.ts";
import { createLatencyTracker } from "./latency.ts";
import { createRouter } from "./router.ts";
import { createSiteRegistry } from "./site-registry.ts";
import { testSite } from "./testing/sites.ts";
import type { Route, Rule, SiteHealth } from "./types.ts";

function rule(name: string, keyPattern: string, more: Partial<Rule> = {}): Rule {
  return { name, keyPattern, operations: [], targetRoles: [], priority: 100, ...more };
}

const THREE = (): Site[] => [testSite("cloud", "burst"), testSite("tape", "backup"), testSite("local")];

function rig(sites: readonly Site[], rules: readonly Rule[] = []) {
  const registry = createSiteRegistry(sites);
  const latency = createLatencyTracker();
  const health = new Map<SiteName, SiteHealth>();
  const router = createRouter({ sites: registry, latency, health: { lastOf: (site) => health.get(site) } }, rules);
  const setHealthy = (name: string, healthy: boolean): void =>
    void health.set(name as SiteName, { healthy, checkedAtMs: 0 });
  const measure = (name: string, latencyMs: number, times = 1): void => {
    for (let time = 0; time < times; time++) latency.observe(name as SiteName, latencyMs);
  };
  const expectLatency = (name: string, latencyMs: number): void => latency.expect(name as SiteName, latencyMs);
  return { registry, latency, router, health, setHealthy, measure, expectLatency };
}

const names = (sites: readonly Site[]): string[] => sites.map(({ name }) => name);
const read = (router: { routeRead(key: string): Route }, key = "any"): string[] => names(router.routeRead(key).sites);

describe("routing without a rule", () => {
  it("reads from primary, then backup, then burst sites, each as configured", () => {
    const { router } = rig([...THREE(), testSite("second")]);
    expect(read(router)).toEqual(["local", "second", "tape", "cloud"]);
    expect(router.routeRead("any").rule).toBeUndefined();
  });

  it("writes to all primaries at once and lets the others follow", () => {
    const plan = rig([...THREE(), testSite("second")]).router.planWrite("any");
    expect([names(plan.required), names(plan.following)]).toEqual([
      ["local", "second"],
      ["tape", "cloud"],
    ]);
  });

  it("writes to the first role there is where no primary is, and nowhere without a site", () => {
    const plan = rig([
      testSite("cloud", "burst"),
      testSite("tape", "backup"),
      testSite("vault", "backup"),
    ]).router.planWrite("any");
    expect([names(plan.required), names(plan.following)]).toEqual([["tape", "vault"], ["cloud"]]);
    expect(rig([]).router.planWrite("any")).toEqual({
      required: [],
      following: [],
      publish: "soon",
      consistency: "close-to-open",
    });
  });

  it("sees sites come and go", async () => {
    const { registry, router } = rig(THREE());
    await registry.remove("local" as SiteName);
    registry.add(testSite("new"));
    expect(read(router)).toEqual(["new", "tape", "cloud"]);
  });
});

describe("rules", () => {
  it("say which roles an operation goes to, and in which order", () => {
    const { router } = rig(THREE(), [rule("archive", "archive/**", { targetRoles: ["burst", "backup"] })]);
    expect(router.routeRead("archive/2030/x")).toMatchObject({ rule: "archive", operation: "read" });
    expect(read(router, "archive/2030/x")).toEqual(["cloud", "tape"]);
    expect(read(router, "other")).toEqual(["local", "tape", "cloud"]);
    const plan = router.planWrite("archive/x");
    expect([plan.rule, names(plan.required), names(plan.following)]).toEqual(["archive", ["cloud"], ["tape"]]);
  });

  it("are asked by priority, and equal ones in the order they were written", () => {
    const { router } = rig(THREE(), [
      rule("late", "**", { priority: 50, targetRoles: ["burst"] }),
      rule("first", "a/*", { priority: 10, targetRoles: ["backup"] }),
      rule("second", "a/**", { priority: 10, targetRoles: ["primary"] }),
    ]);
    expect(["a/x", "a/x/y", "b"].map((key) => router.routeRead(key).rule)).toEqual(["first", "second", "late"]);
  });

  it("hold only for the operations they name", () => {
    const { router } = rig(THREE(), [
      rule("reads", "**", { operations: ["read"], targetRoles: ["burst"] }),
      rule("deletes", "**", { operations: ["delete"], priority: 1, targetRoles: ["backup"] }),
    ]);
    expect([router.routeRead("x").rule, router.routeDelete("x").rule, router.planWrite("x").rule]).toEqual([
      "reads",
      "deletes",
      undefined,
    ]);
    expect(names(router.routeDelete("x").sites)).toEqual(["tape"]);
  });

  it("may leave no site at all, which is not silently widened", () => {
    const { router } = rig([testSite("local")], [rule("cloud-only", "**", { targetRoles: ["burst"] })]);
    expect(read(router)).toEqual([]);
    expect(router.planWrite("x")).toMatchObject({ rule: "cloud-only", required: [], following: [] });
  });
});

describe("health and breakers", () => {
  it("put an unhealthy site last for reads, whatever its role, and leave it in", () => {
    const { router, setHealthy } = rig([...THREE(), testSite("second")]);
    setHealthy("local", false);
    setHealthy("cloud", true);
    expect(read(router)).toEqual(["second", "tape", "cloud", "local"]);
    setHealthy("local", true);
    expect(read(router)).toEqual(["local", "second", "tape", "cloud"]);
  });

  it("put a site last for reads that is asked again whether it is well", () => {
    const { router, health } = rig(THREE());
    health.set("local" as SiteName, { healthy: true, checkedAtMs: 0, doubted: true });
    expect(read(router)).toEqual(["tape", "cloud", "local"]);
  });

  it("leave a site out whose breaker is open, with a sentence why, and let it be probed later", () => {
    let state: BreakerState = "open";
    const { router } = rig([testSite("local", "primary", { circuit: () => state }), testSite("cloud", "burst")]);
    const route = router.routeRead("x");
    expect(names(route.sites)).toEqual(["cloud"]);
    expect(route.skipped).toEqual([
      { site: "local", reason: expect.stringMatching(/^Site local .*breaker is open.*\.$/) as string },
    ]);
    expect(router.circuitOf(testSite("local", "primary", { circuit: () => state }))).toBe("open");
    state = "half-open";
    expect(read(router)).toEqual(["local", "cloud"]);
    expect(router.routeRead("x").skipped).toEqual([]);
  });

  it("never choose where a write goes", () => {
    const { router, setHealthy } = rig([
      testSite("local", "primary", { circuit: () => "open" }),
      testSite("second"),
      testSite("cloud", "burst"),
    ]);
    setHealthy("second", false);
    const plan = router.planWrite("x");
    expect([names(plan.required), names(plan.following)]).toEqual([["local", "second"], ["cloud"]]);
  });
});

describe("latency", () => {
  it("ranks sites of one role, and never one role above another", () => {
    const { router, measure } = rig([testSite("slow"), testSite("fast"), testSite("cloud", "burst")]);
    measure("slow", 80);
    measure("fast", 5);
    measure("cloud", 1);
    expect(read(router)).toEqual(["fast", "slow", "cloud"]);
    expect(router.latencyOf(testSite("slow"))).toBe(80);
    expect(router.latencyOf(testSite("unknown"))).toBeUndefined();
  });

  it("begins with what the operator said, and follows what is measured", () => {
    const { router, expectLatency, measure } = rig([testSite("far"), testSite("near")]);
    expectLatency("far", 100);
    expectLatency("near", 10);
    expect(read(router)).toEqual(["near", "far"]);
    measure("near", 400, 30);
    expect(read(router)).toEqual(["far", "near"]);
  });

  it("does not make two like sites change places with every request", () => {
    const { router, measure } = rig([testSite("one"), testSite("other")]);
    measure("one", 22);
    measure("other", 22);
    const orders = new Set<string>();
    // Around the border between two steps, where rounding alone would flap.
    for (let round = 0; round < 200; round++) {
      measure("one", round % 2 === 0 ? 20.6 : 24.6);
      measure("other", round % 2 === 0 ? 24.6 : 20.6);
      orders.add(read(router).join());
    }
    expect(orders.size).toBe(1);
  });

  it("follows a lasting change, and not a single outlier", () => {
    const { router, measure } = rig([testSite("one"), testSite("other")]);
    measure("one", 4, 10);
    measure("other", 16, 10);
    measure("one", 20);
    expect(read(router)).toEqual(["one", "other"]);
    measure("one", 200, 30);
    expect(read(router)).toEqual(["other", "one"]);
  });
});
