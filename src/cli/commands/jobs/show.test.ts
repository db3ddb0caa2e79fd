import { createClient } from "@globalfs/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { type Served, serveInProcess } from "../../testing/served.ts";

let served: Served;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => await served.stop());

test("whoever watches a publish job is told of its end, though it leaves nothing behind", async () => {
  const client = createClient({ endpoint: served.url });
  await served.rig.put("k", "1");
  await served.rig.coordinator.pauseAllJobs(rigCtx, true);
  await served.rig.put("k", "2");
  const { jobs } = await client.jobs.list({});
  const { id } = jobs.find(({ kind }) => kind === "publish") as { id: string };
  const states: string[] = [];
  for await (const { state } of client.jobs.watch(id, { intervalMs: 1 })) {
    if (states.length === 0) await client.jobs.resumeAll();
    states.push(state);
  }
  expect(states[0]).toBe("waiting");
  expect(states).not.toContain("failed");
  expect((await served.run(["jobs", "show", id, "--watch"])).exit).toBe(4);
  await client.close();
});
