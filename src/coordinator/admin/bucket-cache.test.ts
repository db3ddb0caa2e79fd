import { beforeEach, describe, expect, it } from "vitest";
import { createMemoryKv, encodeKey, type Kv, type Program } from "../../kv/index.ts";
import { initialize, removeBucket, writeBucket } from "../../namespace/index.ts";
import { nextTestInode } from "../../namespace/testing/model.ts";
import type { Kit } from "../kit.ts";
import type { Bucket } from "../service/service.ts";
import { type BucketCache, createBucketCache } from "./bucket-cache.ts";

let kv: Kv;
let cache: BucketCache;
/** How often the catalog was looked at. */
let looks: number;

beforeEach(async () => {
  const memory = createMemoryKv();
  looks = 0;
  kv = {
    ...memory,
    viewSync: (program) => {
      looks += 1;
      return (memory.viewSync as NonNullable<Kv["viewSync"]>)(program);
    },
  };
  await kv.transact((tx) => initialize(tx, 1));
  cache = createBucketCache({ kv } as Kit);
});

async function write(name: string, documents: Readonly<Record<string, string>> = {}): Promise<void> {
  const settings = { name, createdMs: 5, versioning: "off" as const, lifecycle: [] };
  await kv.transact((tx) =>
    writeBucket(tx, { settings: settings as never, documents, nowMs: 5, nextInode: nextTestInode }),
  );
}

const remove = async (name: string): Promise<void> => await kv.transact((tx) => removeBucket(tx, { name, nowMs: 6 }));
const commit = async (): Promise<void> =>
  await kv.transact(function* (tx): Program<void> {
    tx.put(encodeKey("other"), Buffer.alloc(0));
  });

describe("a bucket that is asked for again and again", () => {
  it("is read once while the catalog stays as it is, and is the very same object while it does", async () => {
    await write("logs", { policy: "p" });
    const bucket = cache.peek("logs");
    expect(bucket).toMatchObject({ name: "logs", createdMs: 5, documents: { policy: "p" } });
    expect([cache.peek("logs") === bucket, (await cache.find("logs")) === bucket, looks]).toEqual([true, true, 1]);
    await commit();
    expect([cache.peek("logs") === bucket, cache.peek("logs") === bucket, looks]).toEqual([true, true, 2]);
    // Another bucket has changed: it is read and compared.
    await write("other");
    expect([cache.peek("logs") === bucket, looks]).toEqual([true, 3]);
  });

  it("is what it is by now when it was changed, made anew or removed", async () => {
    await write("logs", { policy: "p" });
    const before = cache.peek("logs");
    await write("logs", { policy: "q" });
    const changed = cache.peek("logs");
    expect([before?.documents, changed?.documents]).toEqual([{ policy: "p" }, { policy: "q" }]);
    await remove("logs");
    expect([cache.peek("logs"), await cache.find("logs")]).toEqual([undefined, undefined]);
    await write("logs", { policy: "q" });
    const again = cache.peek("logs");
    expect([again?.documents, again === changed]).toEqual([{ policy: "q" }, false]);
  });

  it("is none that nobody has made", () => {
    expect(cache.peek("none")).toBeUndefined();
  });

  it("is read with a promise where the catalog lies in another process", async () => {
    const { viewSync: _view, revisionSync: _revision, ...remote } = kv;
    cache = createBucketCache({ kv: remote } as Kit);
    await write("logs");
    expect(cache.peek("logs")).toBeUndefined();
    const bucket = await cache.find("logs");
    expect([bucket?.name, (await cache.find("logs")) === bucket]).toEqual(["logs", true]);
    await write("logs", { policy: "p" });
    expect((await cache.find("logs"))?.documents).toEqual({ policy: "p" });
  });
});

describe("a bucket that only sites know", () => {
  const known = (createdMs: number): Bucket => ({ name: "logs", createdMs, documents: {} }) as unknown as Bucket;

  it("is the very same object while it looks the same", () => {
    const first = cache.remember(known(5));
    expect(cache.remember(known(5))).toBe(first);
    const later = cache.remember(known(6));
    expect(later.createdMs).toBe(6);
    expect(cache.remember(known(6))).toBe(later);
    expect(cache.peek("logs")).toBeUndefined();
  });

  it("is that of the catalog once this has it", async () => {
    const bySite = cache.remember(known(5));
    await write("logs");
    const bucket = cache.peek("logs");
    expect([bucket?.lifecycle, bucket === bySite]).toEqual([[], false]);
    expect(cache.remember(known(5))).not.toBe(bucket);
  });
});
