import { expect, onTestFinished, test } from "vitest";
import type { ChangeFeedPage } from "../../src/coordinator/index.ts";
import { rigCtx, type Rig, startRig } from "../../src/coordinator/testing/rig.ts";
import { createMemoryKv, type Kv } from "../../src/kv/index.ts";
import { trimChanges } from "../../src/namespace/index.ts";

async function started(kv: Kv): Promise<Rig> {
  const rig = await startRig({ kv });
  onTestFinished(async () => await rig.stop().catch(() => undefined));
  return rig;
}

interface Follower {
  readonly told: string[];
  readonly pages: ChangeFeedPage[];
  /** Resolves once so many changes were told. */
  until(count: number): Promise<void>;
  stop(): Promise<void>;
}

function follow(rig: Rig, after: number): Follower {
  const aborting = new AbortController();
  const told: string[] = [];
  const pages: ChangeFeedPage[] = [];
  let wake = (): void => undefined;
  const ended = (async () => {
    const ctx = { ...rigCtx, signal: aborting.signal };
    for await (const page of rig.coordinator.followChanges(ctx, { after, limit: 3, idleMs: 60_000 })) {
      pages.push(page);
      told.push(...page.changes.map(({ kind, path }) => `${kind} ${path}`));
      wake();
    }
  })();
  onTestFinished(() => aborting.abort());
  return {
    told,
    pages,
    async until(count) {
      while (told.length < count)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
    async stop() {
      aborting.abort();
      await ended;
    },
  };
}

test("H1 Who follows the namespace is told each later change in order, as it comes, and after a restart from where it was", async () => {
  const kv = createMemoryKv();
  const first = await started(kv);
  await first.put("before", "x");
  const start = await first.coordinator.lastChange(rigCtx);
  const followers = Array.from({ length: 5 }, () => follow(first, start));
  await first.put("a/1", "x");
  await followers[0]?.until(1);
  await first.put("a/2", "x");
  await first.put("a/1", "y");
  await first.coordinator.rename(rigCtx, { from: "a/", to: "b/" });
  await first.coordinator.deleteObject(rigCtx, "b/2", {});
  const expected = ["created a/1", "created a/2", "updated a/1", "renamed b", "removed b/2"];
  for (const follower of followers) {
    await follower.until(expected.length);
    await follower.stop();
    expect(follower.told).toEqual(expected);
  }
  const place = followers[0]?.pages.at(-1)?.changes.at(-1)?.position as number;
  await first.put("while/nobody/follows", "x");
  await first.stop();

  const second = await started(kv);
  const again = follow(second, place);
  await again.until(1);
  await second.put("c", "x");
  await again.until(2);
  await again.stop();
  expect(again.told).toEqual(["created while/nobody/follows", "created c"]);
});

test("H2 What was forgotten before it was read is told as a gap", async () => {
  const kv = createMemoryKv();
  const rig = await started(kv);
  await rig.put("a", "x");
  const place = await rig.coordinator.lastChange(rigCtx);
  await rig.put("b", "x");
  const forgotten = await rig.coordinator.lastChange(rigCtx);
  await kv.transact((tx) => trimChanges(tx, { beforeMs: Number.MAX_SAFE_INTEGER, limit: 100 }));
  const follower = follow(rig, place);
  await rig.put("c", "x");
  await follower.until(1);
  await follower.stop();
  expect(follower.pages.map(({ after }) => after)[0]).toBe(forgotten);
  expect(follower.told).toEqual(["created c"]);
});
