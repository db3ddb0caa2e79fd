import { expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { type ErrorCode, GfsError } from "../../core/errors.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMetrics } from "../../telemetry/index.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { metricsLayer } from "./metrics.ts";

const ctx = backgroundCtx();

function rig() {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  const metrics = createMetrics({ processMetrics: false });
  const latencies: number[] = [];
  const onLatency = (latencyMs: number): void => void latencies.push(latencyMs);
  const store = metricsLayer({ site: "a", metrics, clock, onLatency })(inner);
  const linesOf = async (start: string): Promise<string[]> =>
    (await metrics.render()).body.split("\n").filter((line) => line.startsWith(start));
  return { clock, inner, latencies, linesOf, store };
}

it("Every operation is counted with how it ended", async () => {
  const { inner, linesOf, store } = rig();
  await putBytes(store, "key", "bytes");
  await bytesOf((await store.get(ctx, "key")).stream);
  await store.check(ctx);
  await store.delete(ctx, "key");
  await expect(store.head(ctx, "key")).rejects.toMatchObject({ code: "NotFound" });
  for (const code of ["Canceled", "PreconditionFailed", "Unavailable"] as const satisfies readonly ErrorCode[]) {
    inner.script.before = () => {
      throw new GfsError(code, "No.");
    };
    await expect(store.head(ctx, "key")).rejects.toMatchObject({ code });
  }
  const counted = (operation: string, status: string): string =>
    `globalfs_site_requests_total{site="a",operation="${operation}",status="${status}"} 1`;
  expect((await linesOf("globalfs_site_requests_total")).sort()).toEqual(
    [
      counted("put", "success"),
      counted("get", "success"),
      counted("check", "success"),
      counted("delete", "success"),
      ...["not_found", "canceled", "refused", "error"].map((status) => counted("head", status)),
    ].sort(),
  );
});

it("Bytes are counted as they pass, those read apart from those written", async () => {
  const { linesOf, store } = rig();
  await putBytes(store, "key", "12345");
  expect(await linesOf("globalfs_site_bytes_total")).toEqual([
    'globalfs_site_bytes_total{site="a",direction="written"} 5',
  ]);
  const body = await store.get(ctx, "key", { range: { start: 1, end: 3 } });
  expect((await linesOf("globalfs_site_bytes_total")).length).toBe(1);
  expect((await bytesOf(body.stream)).toString()).toBe("23");
  expect(await linesOf("globalfs_site_bytes_total")).toContain(
    'globalfs_site_bytes_total{site="a",direction="read"} 2',
  );
});

it("How long a site took is measured until its answer, and ranks it when the call is a small one", async () => {
  const { clock, inner, latencies, linesOf, store } = rig();
  await putBytes(store, "key", "bytes");
  inner.script.before = () => clock.sleep(30);
  const calls = [store.head(ctx, "key"), store.list(ctx, { limit: 1 }), store.get(ctx, "key")];
  await clock.advance(30);
  await Promise.all(calls);
  expect(latencies).toEqual([30, 30]);
  expect(await linesOf('globalfs_site_request_duration_seconds_sum{site="a",operation="head"}')).toEqual([
    'globalfs_site_request_duration_seconds_sum{site="a",operation="head"} 0.03',
  ]);
});
