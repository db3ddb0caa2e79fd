import { expect } from "vitest";
import { putForeign, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { everywhere } from "./matrix.ts";
import { codeOf } from "./setting.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

async function failure(work: Promise<unknown>): Promise<{ readonly code: string; readonly context: object }> {
  return await work.then(
    () => expect.unreachable("It should have been refused."),
    (error: unknown) => error as { code: string; context: object },
  );
}

everywhere("B1 Every directory at the top is a bucket, and every bucket a directory", async ({ start }) => {
  const { coordinator, put, sites } = await start(TWO);
  await put("implicit/x", "1");
  await coordinator.putObject(rigCtx, { key: "made/", body: (async function* () {})() });
  await putForeign(sites.cloud, "found/x", "theirs");
  await put("at-the-top", "no bucket");
  await coordinator.createBucket(rigCtx, { name: "made-too", owner: "alice" });
  const { buckets } = await coordinator.listBuckets(rigCtx, { limit: 100 });
  expect(buckets.map(({ name, owner }) => [name, owner])).toEqual([
    ["found", undefined],
    ["implicit", undefined],
    ["made", undefined],
    ["made-too", "alice"],
  ]);
  for (const { name } of buckets) expect((await coordinator.findBucket(rigCtx, name))?.name).toBe(name);
  expect(await coordinator.findBucket(rigCtx, "at-the-top")).toBeUndefined();
  const listed = await coordinator.listObjects(rigCtx, { limit: 100, delimiter: "/" });
  expect(listed.prefixes).toContain("made-too/");
  expect(await failure(coordinator.createBucket(rigCtx, { name: "made-too", owner: "bob" }))).toMatchObject({
    code: "AlreadyExists",
    context: { owner: "alice" },
  });
  await coordinator.createBucket(rigCtx, { name: "implicit", owner: "bob" });
  await coordinator.deleteObject(rigCtx, "implicit/x");
  expect((await coordinator.findBucket(rigCtx, "implicit"))?.owner).toBe("bob");
});

everywhere("B1 Buckets are listed in pages, in the order of their names", async ({ start }) => {
  const { coordinator } = await start(TWO);
  const names = ["a", "a-b", "a.b", "a0", "b", "\uE000", "\u{1F600}"];
  for (const name of names.toReversed()) await coordinator.createBucket(rigCtx, { name });
  for (const limit of [1, 2, 3, 10]) {
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await coordinator.listBuckets(rigCtx, { limit, ...(after === undefined ? {} : { after }) });
      expect(page.buckets.length).toBeLessThanOrEqual(limit);
      seen.push(...page.buckets.map(({ name }) => name));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(names);
  }
  const { buckets } = await coordinator.listBuckets(rigCtx, { limit: 10, prefix: "a" });
  expect(buckets.map(({ name }) => name)).toEqual(["a", "a-b", "a.b", "a0"]);
});

everywhere(
  "B2 What a bucket was told stays over restarts and renames, and goes when it is removed",
  async ({ start }) => {
    const setting = await start(TWO);
    const { coordinator, kv, put } = setting;
    await coordinator.createBucket(rigCtx, {
      name: "b",
      owner: "alice",
      objectLock: false,
      documents: { policy: "{}" },
    });
    const lifecycle = [{ id: "1", enabled: true, filter: { prefix: "logs/" }, expireAfterDays: 3 }];
    await coordinator.changeBucket(rigCtx, "b", {
      versioning: "enabled",
      lifecycle,
      documents: { cors: "<x/>", policy: null, acl: "private" },
    });
    const told = {
      owner: "alice",
      versioning: "enabled",
      objectLock: false,
      lifecycle,
      documents: { cors: "<x/>", acl: "private" },
    };
    expect(await coordinator.findBucket(rigCtx, "b")).toMatchObject(told);
    await put("b/x", "1");
    await coordinator.rename(rigCtx, { from: "b/", to: "c/" });
    expect(await coordinator.findBucket(rigCtx, "b")).toBeUndefined();
    await coordinator.stop();
    const again = await startRig({
      kv,
      sites: (Object.keys(TWO) as (keyof typeof TWO)[]).map((name) => ({
        name,
        role: TWO[name],
        store: setting.sites[name],
      })),
    });
    expect(await again.coordinator.findBucket(rigCtx, "c")).toMatchObject({ name: "c", ...told });
    await again.coordinator.createBucket(rigCtx, { name: "b" });
    expect(await again.coordinator.findBucket(rigCtx, "b")).toMatchObject({ versioning: "off", documents: {} });
    await again.coordinator.deleteBucket(rigCtx, "b");
    await again.coordinator.createBucket(rigCtx, { name: "b", owner: "bob" });
    expect(await again.coordinator.findBucket(rigCtx, "b")).toMatchObject({ owner: "bob", documents: {} });
    // A directory that is removed as such takes its settings along.
    await again.coordinator.deleteObject(rigCtx, "b/");
    await again.put("b/x", "1");
    expect((await again.coordinator.findBucket(rigCtx, "b"))?.owner).toBeUndefined();
    await again.stop();
  },
);

everywhere("B2 What does not fit together is refused", async ({ start }) => {
  const { coordinator } = await start(TWO);
  await coordinator.createBucket(rigCtx, { name: "b" });
  expect(await failure(coordinator.changeBucket(rigCtx, "b", { objectLock: true }))).toMatchObject({
    code: "Conflict",
    context: { s3: "InvalidBucketState" },
  });
  expect(
    await failure(coordinator.changeBucket(rigCtx, "b", { defaultRetention: { mode: "governance", days: 1 } })),
  ).toMatchObject({ code: "InvalidArgument", context: { s3: "InvalidRequest" } });
  await coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
  await coordinator.changeBucket(rigCtx, "b", { objectLock: true, defaultRetention: { mode: "governance", days: 1 } });
  expect(await failure(coordinator.changeBucket(rigCtx, "b", { versioning: "suspended" }))).toMatchObject({
    code: "Conflict",
    context: { s3: "InvalidBucketState" },
  });
  expect(await coordinator.changeBucket(rigCtx, "b", { defaultRetention: null })).not.toHaveProperty(
    "defaultRetention",
  );
  expect(await codeOf(coordinator.createBucket(rigCtx, { name: "a/b" }))).toBe("InvalidArgument");
  expect(await codeOf(coordinator.createBucket(rigCtx, { name: ".globalfs" }))).toBe("InvalidKey");
  expect(await codeOf(coordinator.changeBucket(rigCtx, "b", { documents: { policy: "x".repeat(65_537) } }))).toBe(
    "TooLarge",
  );
});

everywhere("B3 A bucket is not removed while anything lies below it", async ({ start }) => {
  const { coordinator, put, sites } = await start(TWO);
  await coordinator.createBucket(rigCtx, { name: "b" });
  const refused = { code: "NotEmpty", context: { s3: "BucketNotEmpty" } };
  await put("b/d/x", "1");
  expect(await failure(coordinator.deleteBucket(rigCtx, "b"))).toMatchObject(refused);
  expect(await codeOf(coordinator.deleteObject(rigCtx, "b/"))).toBe("NotEmpty");
  await coordinator.deleteObject(rigCtx, "b/d/x");
  await putForeign(sites.cloud, "b/y", "theirs");
  expect(await failure(coordinator.deleteBucket(rigCtx, "b"))).toMatchObject(refused);
  await coordinator.deleteObject(rigCtx, "b/y");
  sites.local.failing.add("list");
  expect(await codeOf(coordinator.deleteBucket(rigCtx, "b"))).toBe("Unavailable");
  sites.local.failing.clear();
  // The marker that another tool made for the directory is no reason to keep it.
  await putForeign(sites.cloud, "b/", "");
  await coordinator.deleteBucket(rigCtx, "b");
  expect(await coordinator.findBucket(rigCtx, "b")).toBeUndefined();
  expect(await failure(coordinator.deleteBucket(rigCtx, "b"))).toMatchObject({
    code: "NotFound",
    context: { s3: "NoSuchBucket" },
  });
});

everywhere(
  "B4 Looking a bucket up answers with the same object until something about it changes",
  async ({ start }) => {
    const { coordinator, put, sites } = await start(TWO);
    expect(coordinator.peekBucket("b")).toBeUndefined();
    await coordinator.createBucket(rigCtx, { name: "b" });
    const first = coordinator.peekBucket("b");
    expect(first).toMatchObject({ name: "b", versioning: "off" });
    await put("b/x", "1");
    await put("other/x", "1");
    expect(coordinator.peekBucket("b")).toBe(first);
    expect(await coordinator.findBucket(rigCtx, "b")).toBe(first);
    await coordinator.changeBucket(rigCtx, "b", { documents: { policy: "{}" } });
    const second = coordinator.peekBucket("b");
    expect(second).toMatchObject({ documents: { policy: "{}" } });
    await coordinator.rename(rigCtx, { from: "b/", to: "c/" });
    expect(coordinator.peekBucket("b")).toBeUndefined();
    expect(coordinator.peekBucket("c")).toMatchObject({ name: "c", documents: { policy: "{}" } });
    // One without settings is no less exact.
    const other = coordinator.peekBucket("other");
    expect(other?.name).toBe("other");
    await put("other/y", "1");
    expect(coordinator.peekBucket("other")).toBe(other);
    for (const key of ["other/x", "other/y"]) await coordinator.deleteObject(rigCtx, key);
    expect(coordinator.peekBucket("other")).toBeUndefined();
    await putForeign(sites.cloud, "found/x", "1");
    expect(coordinator.peekBucket("found")).toBeUndefined();
    const found = await coordinator.findBucket(rigCtx, "found");
    expect(await coordinator.findBucket(rigCtx, "found")).toBe(found);
  },
);
