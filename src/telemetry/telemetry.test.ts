import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLogger, createMetrics } from "./index.ts";
import { renderLine } from "./pretty.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-log-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** Prometheus' text format, read strictly: what does not parse fails. */
function parseExposition(text: string): Map<string, { type: string; samples: Map<string, number> }> {
  const families = new Map<string, { type: string; samples: Map<string, number> }>();
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      if (families.has(type[1] as string)) throw new Error(`type of ${type[1]} twice`);
      families.set(type[1] as string, { type: type[2] as string, samples: new Map() });
      continue;
    }
    if (/^# HELP [a-zA-Z_:][a-zA-Z0-9_:]* .*$/.test(line)) continue;
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Nan|[+-]?Inf))$/.exec(
        line,
      );
    if (sample === null) throw new Error(`not a sample: ${line}`);
    const family =
      families.get((sample[1] as string).replace(/_(bucket|sum|count)$/, "")) ?? families.get(sample[1] as string);
    if (family === undefined) throw new Error(`a sample without a type: ${line}`);
    family.samples.set((sample[1] as string) + (sample[2] ?? ""), Number(sample[3]));
  }
  return families;
}

describe("metrics", () => {
  it("render in the text format, with labels escaped and instruments made once", async () => {
    const metrics = createMetrics({ processMetrics: true });
    const counter = metrics.counter({ name: "test_total", help: "A test.", labels: ["path"] });
    counter.add(2, { path: 'a"b\\c\n' });
    metrics.counter({ name: "test_total", help: "A test.", labels: ["path"] }).add(1, { path: 'a"b\\c\n' });
    metrics.histogram({ name: "test_seconds", help: "Durations.", buckets: [0.1, 1] }).observe(0.5);
    const gauge = metrics.gauge({ name: "test_gauge", help: "A gauge.", labels: ["site"] });
    gauge.set(4, { site: "gone" });
    gauge.set(5, { site: "here" });
    gauge.remove({ site: "gone" });
    const { body, contentType } = await metrics.render();
    expect(contentType).toContain("text/plain");
    const families = parseExposition(body);
    expect([...(families.get("test_total")?.samples.values() ?? [])]).toEqual([3]);
    expect(families.get("test_seconds")?.samples.get('test_seconds_bucket{le="1"}')).toBe(1);
    expect([...(families.get("test_gauge")?.samples.keys() ?? [])]).toEqual(['test_gauge{site="here"}']);
    expect(families.has("process_cpu_user_seconds_total")).toBe(true);
  });
});

describe("metrics of several processes", () => {
  it("add up what each has a share of, and say once what all say of one thing", async () => {
    const processes = [1, 1, 0].map((state) => {
      const metrics = createMetrics({ processMetrics: false });
      metrics.gauge({ name: "test_running", help: "A share." }).set(2);
      metrics
        .gauge({ name: "test_circuit", help: "0 closed, 1 half-open, 2 open.", labels: ["site"], combine: "largest" })
        .set(state, { site: "a" });
      metrics
        .gauge({ name: "test_healthy", help: "Of all.", labels: ["site"], combine: "smallest" })
        .set(state, { site: "a" });
      return metrics;
    });
    const [first, ...others] = processes as [(typeof processes)[number], ...typeof processes];
    const { body } = await first.render(await Promise.all(others.map(async (each) => await each.collect())));
    const families = parseExposition(body);
    const valueOf = (name: string): number | undefined => [...(families.get(name)?.samples.values() ?? [])][0];
    expect([valueOf("test_running"), valueOf("test_circuit"), valueOf("test_healthy")]).toEqual([6, 1, 0]);
  });
});

describe("logs", () => {
  it("are JSON lines with time, level and event, without secrets, and survive rotation", async () => {
    const file = path.join(directory, "x.log");
    const log = createLogger({ level: "info", format: "json", file });
    log.debug("unseen");
    log.with({ component: "test" }).info("something_happened", { site: "a", apiKey: "hush", deep: { sas: "hush" } });
    log.flush();
    const [line] = (await readFile(file, "utf8")).trim().split("\n");
    const parsed = JSON.parse(line as string) as Record<string, unknown>;
    expect(parsed).toMatchObject({
      level: "info",
      event: "something_happened",
      component: "test",
      site: "a",
      apiKey: "[secret]",
      deep: { sas: "[secret]" },
    });
    expect(Date.parse(parsed["time"] as string)).toBeGreaterThan(0);
    await rename(file, `${file}.1`);
    log.reopen();
    await expect
      .poll(async () => {
        log.info("after_rotation");
        log.flush();
        return await readFile(file, "utf8").catch(() => "");
      })
      .toContain("after_rotation");
  });

  it("for a terminal fit on a line", () => {
    const line = JSON.stringify({
      level: "warn",
      time: "2026-01-02T03:04:05.678Z",
      event: "site_unhealthy",
      site: "a",
      error: "no answer",
    });
    expect(renderLine(line, false)).toBe('03:04:05.678 WARN  site_unhealthy  site=a error="no answer"\n');
  });
});
