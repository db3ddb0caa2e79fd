import { afterEach, describe, expect, it } from "vitest";
import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import { type Logger, silentLogger } from "../core/ports/log.ts";
import { type Labels, type Metrics, noMetrics } from "../core/ports/metrics.ts";
import { createFakeClock, settle } from "../core/testing/fake-clock.ts";
import { createMemoryStore, type Site } from "../stores/index.ts";
import { createHealthMonitor, type HealthMonitor } from "./health.ts";
import { createSiteRegistry } from "./site-registry.ts";
import { testSite } from "./testing/sites.ts";

const CONFIG = { intervalMs: 1_000, timeoutMs: 100 };

/** A site whose health check does what the test says. */
function checked(name: string) {
  const state = {
    checks: 0,
    fault: undefined as GfsError | undefined,
    hangs: false,
    signal: undefined as AbortSignal | undefined,
  };
  const store = Object.assign(createMemoryStore(), {
    check: async (ctx: Ctx): Promise<void> => {
      state.checks += 1;
      state.signal = ctx.signal;
      if (state.hangs) await new Promise(() => undefined);
      if (state.fault !== undefined) throw state.fault;
    },
  });
  return Object.assign(state, { site: testSite(name, "primary", { store }) });
}

let running: HealthMonitor | undefined;
let clockOf: ReturnType<typeof createFakeClock> | undefined;
afterEach(async () => {
  const stopped = running?.stop();
  await clockOf?.advance(CONFIG.timeoutMs);
  await stopped;
  running = undefined;
});

function rig(
  sites: readonly Site[],
  { metrics = noMetrics, log = silentLogger }: { metrics?: Metrics; log?: Logger } = {},
) {
  const clock = createFakeClock();
  const registry = createSiteRegistry(sites);
  const monitor = createHealthMonitor({ sites: registry, clock, log, metrics }, CONFIG);
  running = monitor;
  clockOf = clock;
  return { clock, registry, monitor };
}

describe("the health monitor", () => {
  it("asks live at first use, and gives the remembered answer from then on", async () => {
    const a = checked("a");
    const { clock, monitor } = rig([a.site]);
    expect(monitor.lastOf(a.site.name)).toBeUndefined();
    expect(monitor.lastCheckedAtMs).toBeUndefined();
    const [one, other] = await Promise.all([monitor.healthOf(a.site), monitor.healthOf(a.site)]);
    expect([one, other, a.checks]).toEqual([{ healthy: true, checkedAtMs: clock.nowMs() }, one, 1]);
    await clock.advance(50_000);
    expect(await monitor.healthOf(a.site)).toEqual(one);
    expect([a.checks, monitor.lastCheckedAtMs]).toEqual([1, one.checkedAtMs]);
    await monitor.checkNow(a.site);
    expect(a.checks).toBe(2);
  });

  it("asks every site once an interval, and sees it fall ill and recover", async () => {
    const lines: string[] = [];
    const note = (event: string): void => void lines.push(event);
    const log: Logger = { ...silentLogger, info: note, warn: note };
    const a = checked("a");
    const { clock, monitor } = rig([a.site], { log });
    monitor.start();
    await settle();
    expect([a.checks, monitor.lastOf(a.site.name)?.healthy]).toEqual([1, true]);
    a.fault = new GfsError("PermissionDenied", "The key is not valid any more.");
    await clock.advance(CONFIG.intervalMs);
    expect(monitor.lastOf(a.site.name)).toEqual({
      healthy: false,
      error: "The key is not valid any more.",
      checkedAtMs: clock.nowMs(),
    });
    await clock.advance(3 * CONFIG.intervalMs);
    a.fault = undefined;
    await clock.advance(CONFIG.intervalMs);
    expect([a.checks, monitor.lastOf(a.site.name)?.healthy]).toEqual([6, true]);
    // One line a change, not one a check.
    expect(lines).toEqual(["site_unhealthy", "site_recovered"]);
  });

  it("calls a check that hangs a failure, tells the driver to stop, and lets no other site wait", async () => {
    const slow = checked("slow");
    slow.hangs = true;
    const quick = checked("quick");
    const { clock, monitor } = rig([slow.site, quick.site]);
    monitor.start();
    await settle();
    expect([monitor.lastOf(quick.site.name)?.healthy, monitor.lastOf(slow.site.name)]).toEqual([true, undefined]);
    expect(await monitor.healthOf(quick.site)).toMatchObject({ healthy: true });
    await clock.advance(CONFIG.timeoutMs);
    expect(monitor.lastOf(slow.site.name)).toMatchObject({
      healthy: false,
      error: expect.stringContaining("100 ms") as string,
    });
    expect(slow.signal?.aborted).toBe(true);
    await clock.advance(CONFIG.intervalMs);
    expect([slow.checks, quick.checks]).toEqual([2, 2]);
  });

  it("has one question under way for a site, however many ask", async () => {
    const slow = checked("slow");
    slow.hangs = true;
    const { clock, monitor } = rig([slow.site]);
    monitor.start();
    const asked = [monitor.healthOf(slow.site), monitor.checkNow(slow.site), monitor.checkNow(slow.site)];
    await clock.advance(CONFIG.timeoutMs);
    for (const answer of asked) expect(await answer).toMatchObject({ healthy: false });
    expect(slow.checks).toBe(1);
  });

  it("forgets a site that was removed, and does not take a new one of that name for it", async () => {
    const series = new Map<string, number>();
    const keyOf = (labels: Labels = {}): string => labels["site"] ?? "";
    const metrics: Metrics = {
      ...noMetrics,
      gauge: () => ({
        set: (value, labels) => void series.set(keyOf(labels), value),
        add: () => undefined,
        remove: (labels) => void series.delete(keyOf(labels)),
      }),
    };
    const old = checked("a");
    old.fault = new GfsError("Unavailable", "The site is away.");
    const { clock, registry, monitor } = rig([old.site, checked("b").site], { metrics });
    monitor.start();
    await settle();
    expect([...series]).toEqual([
      ["a", 0],
      ["b", 1],
    ]);
    await registry.remove(old.site.name);
    expect(monitor.lastOf("a" as SiteName)).toBeUndefined();
    await clock.advance(CONFIG.intervalMs);
    expect([...series]).toEqual([["b", 1]]);
    const fresh = checked("a");
    registry.add(fresh.site);
    expect(await monitor.healthOf(fresh.site)).toMatchObject({ healthy: true });
    expect(monitor.lastOf("a" as SiteName)).toMatchObject({ healthy: true });
    // A late answer of the old site is nobody's.
    await monitor.checkNow(old.site);
    expect(monitor.lastOf("a" as SiteName)).toMatchObject({ healthy: true });
    expect(series.get("a")).toBe(1);
  });

  it("tells who watches of every answer, of what is known already, and of a site that was removed", async () => {
    const a = checked("a");
    const { clock, registry, monitor } = rig([a.site]);
    await monitor.checkNow(a.site);
    const told: string[] = [];
    const end = monitor.watch((site, health) => void told.push(`${site} ${health?.healthy}`));
    expect(told).toEqual(["a true"]);
    a.fault = new GfsError("Unavailable", "The site is away.");
    await monitor.checkNow(a.site);
    expect(told).toEqual(["a true", "a false"]);
    await registry.remove(a.site.name);
    monitor.start();
    await settle();
    expect(told).toEqual(["a true", "a false", "a undefined"]);
    end();
    const b = checked("b");
    registry.add(b.site);
    await clock.advance(CONFIG.intervalMs);
    expect([b.checks, told.length]).toEqual([1, 3]);
  });

  it("routes by what another process found, and asks nobody for it", async () => {
    const a = checked("a");
    const { monitor } = rig([a.site]);
    const found = { healthy: false, error: "The site is away.", checkedAtMs: 5 };
    monitor.learn(a.site.name, found);
    monitor.learn("unknown" as SiteName, found);
    expect([monitor.lastOf(a.site.name), monitor.lastOf("unknown" as SiteName)]).toEqual([found, undefined]);
    expect([await monitor.healthOf(a.site), a.checks]).toEqual([found, 0]);
  });

  it("keeps a doubt about a site that was well, and tells it, until there is an answer", async () => {
    const lines: string[] = [];
    const note = (event: string): void => void lines.push(event);
    const a = checked("a");
    const { clock, monitor } = rig([a.site], { log: { ...silentLogger, info: note, warn: note } });
    const told: unknown[] = [];
    monitor.watch((_site, health) => void told.push(health));
    // Of what nobody has asked yet nothing is remembered.
    expect([monitor.doubt(a.site), told]).toEqual([true, []]);
    const well = await monitor.checkNow(a.site);
    expect([monitor.doubt(a.site), monitor.doubt(a.site)]).toEqual([true, false]);
    expect(told).toEqual([well, { ...well, doubted: true }]);
    await clock.advance(5);
    const again = await monitor.checkNow(a.site);
    expect([monitor.lastOf(a.site.name), again]).toEqual([again, { healthy: true, checkedAtMs: clock.nowMs() }]);
    expect(lines).toEqual([]);
    a.fault = new GfsError("Unavailable", "The site is away.");
    await monitor.checkNow(a.site);
    expect(monitor.doubt(a.site)).toBe(false);
  });

  it("asks no more once it was stopped", async () => {
    const a = checked("a");
    const { clock, monitor } = rig([a.site]);
    monitor.start();
    await settle();
    await monitor.stop();
    await clock.advance(10 * CONFIG.intervalMs);
    expect([a.checks, clock.waiting]).toEqual([1, 0]);
  });
});
