import { expect, it, onTestFinished } from "vitest";
import type { Rule } from "../placement/index.ts";
import { createMemoryStore, type SiteRole } from "../stores/index.ts";
import type { Coordinator } from "./coordinator.ts";
import { assemblyFor, chunksOf, putForeign, type Rig, rigCtx, type RigOptions, startRig } from "./testing/rig.ts";

async function start(options: RigOptions = {}): Promise<Rig> {
  const rig = await startRig(options);
  onTestFinished(async () => await rig.stop());
  return rig;
}

const body = (text: string): AsyncIterable<Uint8Array> => chunksOf(Buffer.from(text));
const LONG = "x".repeat(1_025);
const place = { key: "file", uploadId: "none" };

const REFUSED: readonly (readonly [what: string, code: string, ask: (coordinator: Coordinator) => Promise<unknown>])[] =
  [
    ["a page of no buckets", "InvalidArgument", (c) => c.listBuckets(rigCtx, { limit: 0 })],
    ["a page of half a bucket", "InvalidArgument", (c) => c.listBuckets(rigCtx, { limit: 1.5 })],
    ["a page of too many buckets", "InvalidArgument", (c) => c.listBuckets(rigCtx, { limit: 10_001 })],
    ["a bucket with a slash", "InvalidArgument", (c) => c.findBucket(rigCtx, "a/b")],
    ["the end of a bucket that is not there", "NotFound", (c) => c.deleteBucket(rigCtx, "none")],
    ["a page of no changes", "InvalidArgument", (c) => c.readChanges(rigCtx, { after: 0, limit: 0 })],
    ["a page of half a change", "InvalidArgument", (c) => c.readChanges(rigCtx, { after: 0, limit: 0.5 })],
    ["a page of too many changes", "InvalidArgument", (c) => c.readChanges(rigCtx, { after: 0, limit: 1_001 })],
    ["a page of no objects", "InvalidArgument", (c) => c.listObjects(rigCtx, { limit: 0 })],
    ["a page of too many objects", "InvalidArgument", (c) => c.listObjects(rigCtx, { limit: 1_001 })],
    ["a page of half an object", "InvalidArgument", (c) => c.listObjects(rigCtx, { limit: 1.5 })],
    ["a prefix that no key has", "InvalidArgument", (c) => c.listObjects(rigCtx, { prefix: LONG, limit: 1 })],
    [
      "a continuation of somebody else",
      "InvalidArgument",
      (c) => c.listObjects(rigCtx, { continuation: "%%%", limit: 1 }),
    ],
    ["a page of no versions", "InvalidArgument", (c) => c.listVersions(rigCtx, { prefix: "", limit: 0 })],
    ["a page of too many versions", "InvalidArgument", (c) => c.listVersions(rigCtx, { prefix: "", limit: 1_001 })],
    ["versions below what no key has", "InvalidArgument", (c) => c.listVersions(rigCtx, { prefix: LONG, limit: 1 })],
    ["labels of a directory", "InvalidArgument", (c) => c.changeLabels(rigCtx, "d/", { tags: {} })],
    ["a version of a directory", "NotFound", (c) => c.headObject(rigCtx, "d/", { versionId: "x" })],
    ["a version that is not there", "NotFound", (c) => c.headObject(rigCtx, "file", { versionId: "x" })],
    ["a directory with bytes", "InvalidKey", (c) => c.putObject(rigCtx, { key: "d/", body: body("x") })],
    [
      "a copy with bytes onto a directory",
      "InvalidKey",
      (c) => c.copyObject(rigCtx, { from: { key: "file" }, key: "d/" }),
    ],
    ["an upload of a directory", "InvalidKey", (c) => c.createUpload(rigCtx, { key: "d/" })],
    [
      "an object that is said to be too large",
      "TooLarge",
      (c) => c.putObject(rigCtx, { key: "large", body: body(""), sizeBytes: 11 }),
    ],
    [
      "an object that turns out too large",
      "TooLarge",
      (c) => c.putObject(rigCtx, { key: "large", body: body("12345678901") }),
    ],
    [
      "metadata that is GlobalFS's own",
      "InvalidArgument",
      (c) => c.putObject(rigCtx, { key: "x", body: body(""), metadata: { "globalfs-version": "x" } }),
    ],
    [
      "metadata that is too long",
      "TooLarge",
      (c) => c.putObject(rigCtx, { key: "x", body: body(""), metadata: { a: "x".repeat(2_048) } }),
    ],
    [
      "a lock where the bucket has none",
      "InvalidArgument",
      (c) => c.putObject(rigCtx, { key: "d/x", body: body(""), labels: { lock: { legalHold: true } } }),
    ],
    [
      "a copy with a lock where the bucket has none",
      "InvalidArgument",
      (c) => c.copyObject(rigCtx, { from: { key: "file" }, key: "d/x", lock: { legalHold: true } }),
    ],
    [
      "an upload with a lock where the bucket has none",
      "InvalidArgument",
      (c) => c.createUpload(rigCtx, { key: "d/x", labels: { lock: { legalHold: true } } }),
    ],
    [
      "a part of no upload",
      "NotFound",
      (c) => c.putPart(rigCtx, { ...place, partNumber: 1, sizeBytes: 1, body: body("x") }),
    ],
    [
      "a part that is too large",
      "TooLarge",
      (c) => c.putPart(rigCtx, { ...place, partNumber: 1, sizeBytes: 11, body: body("") }),
    ],
    ...[0, 10_001, 1.5].map(
      (partNumber) =>
        [
          `a part ${partNumber}`,
          "InvalidArgument",
          (c: Coordinator) => c.putPart(rigCtx, { ...place, partNumber, sizeBytes: 1, body: body("x") }),
        ] as const,
    ),
    ["a directory that becomes a file", "InvalidArgument", (c) => c.rename(rigCtx, { from: "d/", to: "e" })],
    [
      "a copy at the same site",
      "InvalidArgument",
      (c) => c.replicate(rigCtx, { key: "file", from: "local", to: "local" }),
    ],
    ["a copy from no site", "NotFound", (c) => c.replicate(rigCtx, { key: "file", from: "none", to: "local" })],
    ["a copy to no site", "NotFound", (c) => c.replicate(rigCtx, { key: "file", from: "local", to: "none" })],
    [
      "a copy from a site that has none",
      "NotFound",
      (c) => c.replicate(rigCtx, { key: "file", from: "empty", to: "local" }),
    ],
    [
      "a copy of a directory at another site",
      "InvalidArgument",
      (c) => c.replicate(rigCtx, { key: "d/", from: "local", to: "empty" }),
    ],
    ["what no site of this name has", "NotFound", (c) => first(c.importSite(rigCtx, { site: "none" }))],
    ["the end of no site", "NotFound", (c) => c.removeSite(rigCtx, "none")],
    ["the place of no site", "NotFound", (c) => c.adoptSite(rigCtx, "none")],
    [
      "a site that is there already",
      "AlreadyExists",
      (c) => c.addSite(rigCtx, { name: "local", role: "backup", uri: "memory://" }),
    ],
    [
      "a site whose name is none",
      "InvalidArgument",
      (c) => c.addSite(rigCtx, { name: "../x", role: "backup", uri: "memory://" }),
    ],
  ];

function ruleFor(operation: Rule["operations"][number], role: SiteRole): Rule {
  return { name: "here", keyPattern: "**", operations: [operation], targetRoles: [role], priority: 1 };
}

async function first<T>(from: AsyncIterable<T>): Promise<T | undefined> {
  for await (const each of from) return each;
  return undefined;
}

it.each(REFUSED)("refuses %s with %s, and nothing has changed", async (_what, code, ask) => {
  const rig = await start({
    sites: [
      { name: "local", role: "primary" },
      { name: "empty", role: "backup", foreign: "ignore" },
    ],
    rules: [ruleFor("write", "primary")],
    overrides: { settings: { ...assemblyFor(undefined as never).settings, maxObjectBytes: 10 } },
  });
  await rig.put("file", "bytes");
  const before = await rig.kv.revision();
  await expect(ask(rig.coordinator)).rejects.toMatchObject({ code });
  expect(await rig.kv.revision()).toBe(before);
});

it.each<[string, (coordinator: Coordinator) => Promise<unknown>]>([
  ["written", (c) => c.putObject(rigCtx, { key: "new", body: body("x") })],
  ["copied", (c) => c.copyObject(rigCtx, { from: { key: "file" }, key: "new" })],
  ["uploaded", (c) => c.createUpload(rigCtx, { key: "new" })],
])("says that nothing can be %s where no site takes writes", async (_what, ask) => {
  const store = createMemoryStore();
  await putForeign(store, "file", "bytes");
  const { coordinator } = await start({
    sites: [{ name: "local", role: "backup", store }],
    rules: [ruleFor("write", "burst")],
  });
  await expect(ask(coordinator)).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringContaining(
      "No site takes writes for new; add a primary site or change the rule here.",
    ) as string,
  });
});
