import { expect } from "vitest";
import type { ListVersionsResult, VersionEntry } from "../../src/coordinator/index.ts";
import { bodyAt, putForeign, type Rig, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, jobsIn } from "./setting.ts";

const TWO = { local: "primary", cloud: "burst" } as const;
const ONE = { local: "primary" } as const;

async function bodyOf({ coordinator }: Pick<Rig, "coordinator">, key: string, versionId?: string): Promise<string> {
  const read = await coordinator.readObject(rigCtx, key, versionId === undefined ? {} : { versionId });
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await read.open()).stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

async function failure(work: Promise<unknown>): Promise<{ readonly code: string; readonly context: object }> {
  return await work.then(
    () => expect.unreachable("It should have been refused."),
    (error: unknown) => error as { code: string; context: object },
  );
}

async function listAll(
  { coordinator }: Pick<Rig, "coordinator">,
  prefix = "b/",
  limit = 1_000,
): Promise<VersionEntry[]> {
  const entries: VersionEntry[] = [];
  let next: ListVersionsResult["next"] = { key: prefix };
  while (next !== undefined) {
    const page: ListVersionsResult = await coordinator.listVersions(rigCtx, {
      prefix,
      limit,
      afterKey: next.key,
      ...(next.versionId === undefined ? {} : { afterVersionId: next.versionId }),
    });
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    entries.push(...page.entries);
    next = page.next;
  }
  return entries;
}

/** One line for each: the key, what it is, and a star at the latest. */
async function linesOf(rig: Pick<Rig, "coordinator">, prefix = "b/", limit = 1_000): Promise<string[]> {
  const lines: string[] = [];
  for (const { key, versionId, isLatest, meta } of await listAll(rig, prefix, limit)) {
    const what = meta === undefined ? "marker" : await bodyOf(rig, key, versionId);
    lines.push(`${key} ${what}${versionId === "null" ? " null" : ""}${isLatest ? "*" : ""}`);
  }
  return lines;
}

async function keepVersions({ coordinator }: Pick<Rig, "coordinator">, name = "b"): Promise<void> {
  await coordinator.createBucket(rigCtx, { name });
  await coordinator.changeBucket(rigCtx, name, { versioning: "enabled" });
}

async function idOf(rig: Rig, key: string, body: string): Promise<string> {
  return (await rig.put(key, body)).meta.versionId;
}

everywhere(
  "V1 What was current stays readable by its id, whatever is written, deleted or renamed over it",
  async ({ start }) => {
    const setting = await start(TWO);
    const { coordinator, put } = setting;
    await put("b/x", "before versions");
    await keepVersions(setting);
    const one = await idOf(setting, "b/x", "one");
    const two = await idOf(setting, "b/x", "two");
    await coordinator.deleteObject(rigCtx, "b/x");
    const three = await idOf(setting, "b/x", "three");
    const other = await idOf(setting, "b/y", "other");
    await coordinator.rename(rigCtx, { from: "b/y", to: "b/x", overwrite: true });
    const read = async (): Promise<string[]> =>
      await Promise.all(["null", one, two, three, other].map(async (id) => await bodyOf(setting, "b/x", id)));
    expect(await read()).toEqual(["before versions", "one", "two", "three", "other"]);
    await setting.settled();
    expect(await read()).toEqual(["before versions", "one", "two", "three", "other"]);
    expect(await bodyOf(setting, "b/x")).toBe("other");
    const { meta } = await coordinator.headObject(rigCtx, "b/x", { versionId: one });
    expect(meta).toMatchObject({ versionId: one, sizeBytes: 3, details: { versioned: true } });
    expect(
      await failure(coordinator.headObject(rigCtx, "b/x", { versionId: "01ARZ3NDEKTSV4RRFFQ69G5FAV" })),
    ).toMatchObject({
      code: "NotFound",
      context: { s3: "NoSuchVersion" },
    });
  },
);

everywhere(
  "V2 DELETE hides behind a marker, and DELETE of an id removes just that",
  async ({ configuration, start }) => {
    const setting = await start(TWO);
    const { coordinator, sites } = setting;
    await keepVersions(setting);
    const one = await idOf(setting, "b/x", "1");
    const two = await idOf(setting, "b/x", "2");
    const hidden = await coordinator.deleteObject(rigCtx, "b/x", { owner: "alice" });
    expect(hidden).toMatchObject({ deleteMarker: true, pendingSites: [] });
    const marker = hidden.versionId as string;
    expect(await failure(coordinator.readObject(rigCtx, "b/x"))).toMatchObject({
      code: "NotFound",
      context: { deleteMarker: true, versionId: marker },
    });
    expect(await failure(coordinator.readObject(rigCtx, "b/x", { versionId: marker }))).toMatchObject({
      code: "MethodNotAllowed",
      context: { deleteMarker: true },
    });
    expect((await listAll(setting))[0]).toMatchObject({ versionId: marker, isLatest: true, owner: "alice" });
    const twice = await coordinator.deleteObject(rigCtx, "b/x");
    expect(await linesOf(setting)).toEqual(["b/x marker*", "b/x marker", "b/x 2", "b/x 1"]);
    // Away with the markers: what they hid shows again.
    expect(await coordinator.deleteObject(rigCtx, "b/x", { versionId: twice.versionId as string })).toMatchObject({
      deleteMarker: true,
    });
    expect(await codeOf(coordinator.headObject(rigCtx, "b/x"))).toBe("NotFound");
    await coordinator.deleteObject(rigCtx, "b/x", { versionId: marker });
    expect(await bodyOf(setting, "b/x")).toBe("2");
    expect(await coordinator.deleteObject(rigCtx, "b/x", { versionId: two })).toEqual({
      versionId: two,
      deleted: true,
      pendingSites: ["cloud"],
    });
    expect(await bodyOf(setting, "b/x")).toBe("1");
    expect(coordinator.peekObject("b/x")?.meta.versionId).toBe(configuration.cache ? one : undefined);
    expect(await codeOf(coordinator.deleteObject(rigCtx, "b/x", { versionId: two }))).toBe("done");
    await coordinator.deleteObject(rigCtx, "b/x", { versionId: one });
    expect(await linesOf(setting)).toEqual([]);
    await setting.settled();
    // Nothing is left of them anywhere.
    for (const site of Object.values(sites)) expect((await site.list(rigCtx, { limit: 10 })).objects).toEqual([]);
    const nothing = await coordinator.deleteObject(rigCtx, "b/never");
    expect(nothing.deleteMarker).toBe(true);
    expect(await linesOf(setting)).toEqual(["b/never marker*"]);
  },
);

everywhere("V3 A suspended bucket has one null version for a key, and keeps those with ids", async ({ start }) => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  await put("b/x", "before");
  await keepVersions(setting);
  await put("b/x", "with an id");
  await coordinator.changeBucket(rigCtx, "b", { versioning: "suspended" });
  expect(await linesOf(setting)).toEqual(["b/x with an id*", "b/x before null"]);
  await put("b/x", "null 1");
  expect(await linesOf(setting)).toEqual(["b/x null 1 null*", "b/x with an id"]);
  await put("b/x", "null 2");
  expect(await linesOf(setting)).toEqual(["b/x null 2 null*", "b/x with an id"]);
  expect(await coordinator.deleteObject(rigCtx, "b/x")).toMatchObject({ deleteMarker: true, versionId: "null" });
  expect(await linesOf(setting)).toEqual(["b/x marker null*", "b/x with an id"]);
  await put("b/x", "null 3");
  expect(await linesOf(setting)).toEqual(["b/x null 3 null*", "b/x with an id"]);
  await coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
  await put("b/x", "another id");
  expect(await linesOf(setting)).toEqual(["b/x another id*", "b/x null 3 null", "b/x with an id"]);
  await coordinator.deleteObject(rigCtx, "b/x", { versionId: "null" });
  expect(await linesOf(setting)).toEqual(["b/x another id*", "b/x with an id"]);
});

everywhere(
  "V3 What another tool put there is the null version, and never takes the place of one that has to stay",
  async ({ start }) => {
    const setting = await start(TWO);
    const { coordinator, put, sites } = setting;
    await keepVersions(setting);
    await putForeign(sites.local, "b/theirs", "theirs");
    expect(await linesOf(setting)).toEqual(["b/theirs theirs null*"]);
    await coordinator.deleteObject(rigCtx, "b/theirs");
    expect(await linesOf(setting)).toEqual(["b/theirs marker*", "b/theirs theirs null"]);
    await put("b/x", "ours");
    await coordinator.deleteObject(rigCtx, "b/x");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await putForeign(sites.cloud, "b/x", "after the delete");
    expect((await linesOf(setting)).slice(2)).toEqual(["b/x after the delete null*", "b/x marker", "b/x ours"]);
  },
);

everywhere("V4 A listing is in order, the newest commit first, at any page size", async ({ start }) => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  await keepVersions(setting);
  const expected: string[] = [];
  for (const key of ["b/a", "b/a-b", "b/a.b", "b/a/b", "b/a0", "b/\uE000", "b/\u{1F600}"]) {
    await put(key, "1");
    await put(key, "2");
    const hidden = key.includes("-");
    if (hidden) await coordinator.deleteObject(rigCtx, key);
    expected.push(...(hidden ? [`${key} marker*`] : []), `${key} 2${hidden ? "" : "*"}`, `${key} 1`);
  }
  for (const limit of [1, 2, 3, 5, 1_000]) expect(await linesOf(setting, "b/", limit)).toEqual(expected);
  const rolled = await coordinator.listVersions(rigCtx, { prefix: "b/", delimiter: "/", limit: 1_000 });
  expect(rolled.prefixes).toEqual(["b/a/"]);
  expect(rolled.entries.map(({ key }) => key)).not.toContain("b/a/b");
  const top = await coordinator.listVersions(rigCtx, { prefix: "b/a", delimiter: "/", limit: 5 });
  const rest = await coordinator.listVersions(rigCtx, {
    prefix: "b/a",
    delimiter: "/",
    limit: 100,
    afterKey: top.next?.key as string,
    ...(top.next?.versionId === undefined ? {} : { afterVersionId: top.next.versionId }),
  });
  expect([...top.entries, ...rest.entries].map(({ key }) => key)).toEqual([
    "b/a",
    "b/a",
    "b/a-b",
    "b/a-b",
    "b/a-b",
    "b/a.b",
    "b/a.b",
    "b/a0",
    "b/a0",
  ]);
  expect([...top.prefixes, ...rest.prefixes]).toEqual(["b/a/"]);
});

everywhere("V4 Whoever deletes what a page listed goes on where it ended", async ({ start }) => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  await keepVersions(setting);
  for (let turn = 0; turn < 7; turn++) for (const key of ["b/x", "b/y"]) await put(key, `${key} ${turn}`);
  const seen: string[] = [];
  let next: ListVersionsResult["next"];
  do {
    const page: ListVersionsResult = await coordinator.listVersions(rigCtx, {
      prefix: "b/",
      limit: 3,
      afterKey: next?.key ?? "b/",
      ...(next?.versionId === undefined ? {} : { afterVersionId: next.versionId }),
    });
    for (const { key, versionId } of page.entries) {
      seen.push(await bodyOf(setting, key, versionId));
      await coordinator.deleteObject(rigCtx, key, { versionId });
    }
    next = page.next;
  } while (next !== undefined);
  expect(seen).toEqual(["b/x", "b/y"].flatMap((key) => [6, 5, 4, 3, 2, 1, 0].map((turn) => `${key} ${turn}`)));
  expect(await linesOf(setting)).toEqual([]);
  await coordinator.deleteBucket(rigCtx, "b");
});

everywhere("V5 The history stays with the path of a file, and goes along with a directory", async ({ start }) => {
  const setting = await start(TWO);
  const { coordinator, put } = setting;
  await keepVersions(setting);
  await put("b/d/x", "1");
  await put("b/d/x", "2");
  await put("b/d/gone", "deleted");
  await coordinator.deleteObject(rigCtx, "b/d/gone");
  await coordinator.rename(rigCtx, { from: "b/d/x", to: "b/d/z" });
  expect(await linesOf(setting)).toEqual([
    "b/d/gone marker*",
    "b/d/gone deleted",
    "b/d/x marker*",
    "b/d/x 1",
    "b/d/z 2*",
  ]);
  await coordinator.rename(rigCtx, { from: "b/d/", to: "b/e/" });
  expect(await linesOf(setting)).toEqual([
    "b/e/gone marker*",
    "b/e/gone deleted",
    "b/e/x marker*",
    "b/e/x 1",
    "b/e/z 2*",
  ]);
  await coordinator.rename(rigCtx, { from: "b/", to: "c/" });
  expect(await linesOf(setting, "c/")).toEqual([
    "c/e/gone marker*",
    "c/e/gone deleted",
    "c/e/x marker*",
    "c/e/x 1",
    "c/e/z 2*",
  ]);
  await coordinator.createBucket(rigCtx, { name: "plain" });
  expect(await codeOf(coordinator.rename(rigCtx, { from: "c/e/", to: "plain/e/" }))).toBe("Conflict");
  await setting.settled();
  expect((await linesOf(setting, "c/")).length).toBe(5);
});

everywhere("V6 Of several writers on a key that a delete marker hides, exactly one succeeds", async ({ start }) => {
  const setting = await start(TWO);
  const { coordinator, put } = setting;
  await keepVersions(setting);
  for (let round = 0; round < 5; round++) {
    await put("b/x", `old ${round}`);
    await coordinator.deleteObject(rigCtx, "b/x");
    const codes = await Promise.all(
      Array.from({ length: 6 }, async (_, writer) =>
        codeOf(put("b/x", `${round} by ${writer}`, { conditions: { ifNoneMatch: ["*"] } })),
      ),
    );
    expect(codes.filter((code) => code === "done")).toHaveLength(1);
    expect(new Set(codes.filter((code) => code !== "done"))).toEqual(new Set(["PreconditionFailed"]));
  }
  expect(await listAll(setting)).toHaveLength(15);
});

everywhere(
  "V7 Copies of older versions arrive although the version was replaced before its job ran",
  async ({ startTimed }) => {
    const setting = await startTimed(TWO);
    const { coordinator, pass, put, sites } = setting;
    await keepVersions(setting);
    sites.cloud.failing.add("*");
    for (const body of ["1", "2", "3"]) await put("b/x", body);
    await coordinator.deleteObject(rigCtx, "b/x");
    sites.cloud.failing.clear();
    await pass();
    expect(await jobsIn(setting, "failed")).toEqual([]);
    const bodies: (string | undefined)[] = [];
    for (const { key } of (await sites.cloud.list(rigCtx, { limit: 10 })).objects) {
      expect(key).toMatch(/^\.globalfs\/versions\/..\/[0-9A-Z]{26}-x$/);
      bodies.push(await bodyAt(sites.cloud, key));
    }
    expect(bodies.toSorted((one, other) => (one ?? "").localeCompare(other ?? ""))).toEqual(["1", "2", "3"]);
    // And each is known to be there: without the primary they are all read.
    sites.local.failing.add("*");
    const ids = (await listAll(setting)).filter(({ meta }) => meta !== undefined);
    expect(await Promise.all(ids.map(async ({ versionId }) => await bodyOf(setting, "b/x", versionId)))).toEqual([
      "3",
      "2",
      "1",
    ]);
    sites.local.failing.clear();
  },
);

everywhere("V7 An older version that a site lost is read elsewhere and brought back", async ({ startTimed }) => {
  const setting = await startTimed(TWO);
  const { pass, put, sites } = setting;
  await keepVersions(setting);
  const old = await idOf(setting, "b/x", "old");
  await put("b/x", "new");
  await pass();
  const { objects } = await sites.local.list(rigCtx, { limit: 10 });
  const lost = objects.find(({ key }) => key.includes(old))?.key as string;
  await sites.local.delete(rigCtx, lost);
  expect(await bodyOf(setting, "b/x", old)).toBe("old");
  await pass();
  expect(await bodyAt(sites.local, lost)).toBe("old");
});

everywhere(
  "V7 What the full queue had no room for comes later, also when the version is older by then",
  async ({ startTimed }) => {
    const setting = await startTimed(TWO, {
      overrides: {
        mover: {
          maxConcurrentTransfers: 8,
          transferChunkBytes: 256 * 1024,
          maxQueuedJobs: 1,
          verify: "metadata",
          bandwidth: [],
        },
      },
    });
    const { clock, coordinator, pass, put, sites } = setting;
    await keepVersions(setting);
    await coordinator.pauseAllJobs(rigCtx, true);
    await put("b/other", "fills the queue");
    expect((await put("b/x", "1")).pendingSites).toEqual(["cloud"]);
    expect((await put("b/x", "2")).pendingSites).toEqual(["cloud"]);
    await coordinator.pauseAllJobs(rigCtx, false);
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(61_000);
      await pass();
    }
    expect((await sites.cloud.list(rigCtx, { limit: 10 })).objects).toHaveLength(3);
  },
);

everywhere("V8 Versions, markers and labels are there after a restart", async ({ start }) => {
  const setting = await start(ONE);
  const { coordinator, kv, put } = setting;
  await keepVersions(setting);
  await put("b/x", "1", { owner: "alice", contentHeaders: { cacheControl: "no-cache" }, labels: { tags: { a: "b" } } });
  await put("b/x", "2");
  await coordinator.deleteObject(rigCtx, "b/x");
  const before = await listAll(setting);
  await coordinator.stop();
  const again = await startRig({ kv, sites: [{ name: "local", role: "primary", store: setting.sites.local }] });
  expect(await listAll(again)).toEqual(before);
  expect(before[2]?.meta?.details).toEqual({
    checksum: { algorithm: "CRC32C", kind: "full", value: "kPWZ4w==" },
    owner: "alice",
    contentHeaders: { cacheControl: "no-cache" },
    labels: { tags: { a: "b" } },
    versioned: true,
  });
  expect(await linesOf(again)).toEqual(["b/x marker*", "b/x 2", "b/x 1"]);
  await again.stop();
});
