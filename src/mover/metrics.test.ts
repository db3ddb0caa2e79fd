import { afterEach, beforeEach, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import { createMetrics } from "../telemetry/index.ts";
import { createMover } from "./mover.ts";
import { gate, MoverRig } from "./testing/rig.ts";

let rig: MoverRig;
let held: ReturnType<typeof gate>;
beforeEach(() => {
  held = gate();
});
afterEach(async () => {
  held.open();
  await rig.mover.stop();
});

async function start(): Promise<(name: string) => Promise<string[]>> {
  const metrics = createMetrics({ processMetrics: false });
  rig = new MoverRig(["local", "cloud"], { maxConcurrentTransfers: 2 });
  Object.assign(rig.deps, { metrics });
  rig.mover = createMover(rig.deps, rig.config);
  await rig.start();
  return async (name) =>
    (await metrics.render()).body
      .split("\n")
      .filter((line) => line.startsWith(`globalfs_${name}`))
      .map((line) => line.slice("globalfs_".length))
      .sort();
}

it("jobs are counted as they end, and those that run, wait or stand still are shown", async () => {
  const shown = await start();
  rig.store("cloud").script.before = async ({ operation, key }) => {
    if (operation === "stage" && key === "away") throw new GfsError("Unavailable", "The site is away.");
    if (operation === "stage") await held.passed;
  };
  await rig.put("a", "12345");
  await rig.put("b", "123");
  await rig.until(() => rig.store("cloud").count("stage") === 2);
  expect(await shown("replication_jobs_active")).toEqual(["replication_jobs_active 2"]);
  await rig.clock.advance(5_000);
  expect([await shown("replication_queue_depth"), await shown("replication_oldest_job_age_seconds")]).toEqual([
    ["replication_queue_depth 2"],
    ["replication_oldest_job_age_seconds 5"],
  ]);
  held.open();
  await rig.idle();
  expect(await shown("replication_jobs_total")).toEqual(['replication_jobs_total{status="success"} 2']);
  expect(await shown("replication_bytes")).toEqual([
    'replication_bytes_transferred_total{source="local",target="cloud"} 8',
  ]);
  await rig.put("away", "1");
  await rig.idle();
  rig.sites.delete("cloud");
  await rig.clock.advance(2_000);
  await rig.idle();
  expect(await shown("replication_jobs_total")).toEqual([
    'replication_jobs_total{status="failed"} 1',
    'replication_jobs_total{status="retried"} 1',
    'replication_jobs_total{status="success"} 2',
  ]);
  await rig.clock.advance(5_000);
  expect([
    await shown("replication_jobs_active"),
    await shown("replication_queue_depth"),
    await shown("replication_oldest_job_age_seconds"),
  ]).toEqual([["replication_jobs_active 0"], ["replication_queue_depth 0"], ["replication_oldest_job_age_seconds 0"]]);
});

it("that all jobs are paused is shown at once, also when another process has paused them", async () => {
  const shown = await start();
  await rig.mover.pauseAll(true);
  expect(await shown("jobs_paused")).toEqual(["jobs_paused 1"]);
  await rig.mover.pauseAll(false);
  expect(await shown("jobs_paused")).toEqual(["jobs_paused 0"]);
  const other = new MoverRig(["local", "cloud"]);
  Object.assign(other.deps, { kv: rig.kv });
  await createMover(other.deps, other.config).pauseAll(true);
  await rig.clock.advance(6_000);
  expect(await shown("jobs_paused")).toEqual(["jobs_paused 1"]);
});
