import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import {
  type BucketSettings,
  checkPath,
  findStoredBucket,
  removeBucket,
  type StoredBucket,
  writeBucket,
} from "../../namespace/index.ts";
import type { Program } from "../../kv/index.ts";
import { createBucketCache } from "./bucket-cache.ts";
import { listObjects } from "../listing/list.ts";
import { sitesWithForeign } from "../foreign/first-import.ts";
import type { Kit } from "../kit.ts";
import type {
  Bucket,
  BucketChange,
  BucketService,
  CreateBucket,
  ListBucketsRequest,
  UploadService,
} from "../service/service.ts";

const MAX_BUCKETS = 100_000;
const PAGE = 1_000;
const MAX_NAME_BYTES = 255;
const PARALLEL_SITES = 8;

/** Buckets: the directories at the top of the tree, with what S3 wants to know of them. */
export function createBucketService(
  kit: Kit,
  uploads: Pick<UploadService, "listUploads" | "abortUpload">,
): BucketService {
  const cache = createBucketCache(kit);
  const findBucket = async (ctx: Ctx, name: string): Promise<Bucket | undefined> => {
    checkBucketName(name);
    return (await cache.find(name)) ?? (await findAtSites(kit, ctx, name, cache.remember));
  };
  return {
    listBuckets: async (ctx, request) => await listBuckets(kit, ctx, request, findBucket),
    createBucket: async (_ctx, request) => await createBucket(kit, request, findStored),
    deleteBucket: async (ctx, name) => await deleteBucket(kit, ctx, name, uploads),
    changeBucket: async (_ctx, name, change) => await changeBucket(kit, name, change, findStored),
    findBucket,
    storedBucket(name) {
      // No directory has a longer name, and no row.
      if (name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES) return undefined;
      if (name.includes("\0")) return undefined;
      return kit.kv.viewSync === undefined ? cache.find(name) : cache.peek(name);
    },
    peekBucket: (name) => cache.peek(name),
  };

  async function findStored(name: string): Promise<Bucket> {
    const found = await cache.find(name);
    if (found === undefined) throw noSuchBucket(name);
    return found;
  }
}

function checkBucketName(name: string): void {
  checkPath(name);
  if (!name.includes("/")) return;
  throw new GfsError("InvalidArgument", `A bucket is a directory at the top of the tree; ${name} holds a slash.`, {
    op: "coordinator.buckets",
  });
}

function noSuchBucket(name: string): GfsError {
  return new GfsError("NotFound", `There is no bucket ${name}.`, {
    op: "coordinator.buckets",
    context: { s3: "NoSuchBucket", bucket: name },
  });
}

/** Objects that only the sites know make a bucket as well. A primary that does not answer must not make one seem absent. */
async function findAtSites(
  kit: Kit,
  ctx: Ctx,
  name: string,
  remember: (bucket: Bucket) => Bucket,
): Promise<Bucket | undefined> {
  const { objects, failedSites } = await listObjects(kit, ctx, { prefix: `${name}/`, limit: 1 });
  const found = objects[0];
  if (found !== undefined) {
    return remember({
      name,
      createdMs: found.modifiedMs,
      versioning: "off",
      objectLock: false,
      lifecycle: [],
      documents: {},
    });
  }
  refuseSilence(kit, name, failedSites);
  return undefined;
}

function refuseSilence(kit: Kit, name: string, failedSites: readonly { readonly site: string }[]): void {
  const silent = failedSites
    .map(({ site }) => site)
    .filter((site) => kit.sites.list().some((each) => each.name === site && each.role === "primary"));
  if (silent.length === 0) return;
  throw new GfsError(
    "Unavailable",
    `Nobody can tell what lies in ${name}: site ${silent.join(", ")} does not answer; try again when it does.`,
    { op: "coordinator.buckets", context: { bucket: name, sites: silent } },
  );
}

async function listBuckets(
  kit: Kit,
  ctx: Ctx,
  { prefix, after, limit }: ListBucketsRequest,
  find: (ctx: Ctx, name: string) => Promise<Bucket | undefined>,
): Promise<{ readonly buckets: readonly Bucket[]; readonly next?: string }> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    throw new GfsError("InvalidArgument", "A page of buckets has 1 to 10,000; page with `after` for more.");
  const names: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await listObjects(kit, ctx, {
      delimiter: "/",
      limit: PAGE,
      ...(prefix === undefined ? {} : { prefix }),
      ...(continuation === undefined ? {} : { continuation }),
    });
    refuseSilence(kit, "the namespace", page.failedSites);
    for (const directory of page.prefixes) names.push(directory.slice(0, -1));
    if (names.length > MAX_BUCKETS)
      throw new GfsError("TooLarge", `There are more than ${MAX_BUCKETS} buckets; list them by prefix.`);
    continuation = page.continuation;
  } while (continuation !== undefined);
  // Keys sort with the slash behind the name, and names without it.
  const ordered = names.sort(byBytes).filter((name) => after === undefined || byBytes(name, after) > 0);
  const buckets: Bucket[] = [];
  for (const name of ordered) {
    if (buckets.length === limit) return { buckets, next: (buckets.at(-1) as Bucket).name };
    const bucket = await find(ctx, name);
    if (bucket !== undefined) buckets.push(bucket);
  }
  return { buckets };
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

type Find = (name: string) => Promise<Bucket>;

async function createBucket(kit: Kit, request: CreateBucket, find: Find): Promise<Bucket> {
  const { name, owner, documents } = request;
  checkBucketName(name);
  kit.assertCatalogSpace();
  const nowMs = kit.clock.nowMs();
  const objectLock = request.objectLock ?? false;
  await kit.inodes.transact(function* (tx, nextInode): Program<void> {
    const before = yield* findStoredBucket(tx, name);
    if (before !== undefined && !(before.implicit && !before.hasRow)) throw existsAlready(name, before);
    const settings: BucketSettings = {
      name,
      createdMs: nowMs,
      versioning: objectLock ? "enabled" : "off",
      objectLock,
      lifecycle: [],
      ...(owner === undefined ? {} : { owner }),
    };
    yield* writeBucket(tx, { settings, documents: documents ?? {}, nowMs, nextInode });
  });
  return await find(name);
}

function existsAlready(name: string, { settings }: StoredBucket): GfsError {
  return new GfsError("AlreadyExists", `There is a bucket ${name} already; choose another name.`, {
    op: "coordinator.buckets",
    context: { bucket: name, ...(settings.owner === undefined ? {} : { owner: settings.owner }) },
  });
}

async function changeBucket(kit: Kit, name: string, change: BucketChange, find: Find): Promise<Bucket> {
  checkBucketName(name);
  kit.assertCatalogSpace();
  const nowMs = kit.clock.nowMs();
  await kit.inodes.transact(function* (tx, nextInode): Program<void> {
    const before = yield* findStoredBucket(tx, name);
    // A bucket that only sites know becomes one of the catalog when it is given settings.
    const settings = applyChange(
      before?.settings ?? {
        name,
        createdMs: nowMs,
        versioning: "off",
        objectLock: false,
        lifecycle: [],
      },
      change,
    );
    yield* writeBucket(tx, {
      settings,
      documents: change.documents ?? {},
      nowMs,
      nextInode,
    });
  });
  return await find(name);
}

function applyChange(before: BucketSettings, change: BucketChange): BucketSettings {
  const { defaultRetention: _, ...rest } = before;
  const versioning = change.versioning ?? before.versioning;
  const objectLock = before.objectLock || change.objectLock === true;
  if (objectLock && versioning !== "enabled") {
    const sentence = before.objectLock
      ? `${before.name} has object lock, which needs its versions; they cannot be suspended.`
      : `Object lock needs versions; enable versioning of ${before.name} first.`;
    throw new GfsError("Conflict", sentence, {
      op: "coordinator.buckets",
      retry: "never",
      context: { s3: "InvalidBucketState", bucket: before.name },
    });
  }
  const defaultRetention =
    change.defaultRetention === undefined ? before.defaultRetention : (change.defaultRetention ?? undefined);
  if (defaultRetention !== undefined && !objectLock) {
    throw new GfsError("InvalidArgument", `${before.name} has no object lock, so nothing can be retained in it.`, {
      op: "coordinator.buckets",
      context: { s3: "InvalidRequest", bucket: before.name },
    });
  }
  const owner = change.owner ?? before.owner;
  return {
    ...rest,
    versioning,
    objectLock,
    lifecycle: change.lifecycle ?? before.lifecycle,
    ...(defaultRetention === undefined ? {} : { defaultRetention }),
    ...(owner === undefined ? {} : { owner }),
  };
}

async function deleteBucket(
  kit: Kit,
  ctx: Ctx,
  name: string,
  uploads: Pick<UploadService, "listUploads" | "abortUpload">,
): Promise<void> {
  checkBucketName(name);
  const prefix = `${name}/`;
  const { objects, failedSites } = await listObjects(kit, ctx, { prefix, limit: 2 });
  if (objects.some(({ key }) => key !== prefix)) throw notEmpty(name);
  refuseSilence(kit, name, failedSites);
  const nowMs = kit.clock.nowMs();
  const known = await kit.kv.view((tx) => findStoredBucket(tx, name));
  if (known === undefined && objects.length === 0) throw noSuchBucket(name);
  await abortUploads(ctx, prefix, uploads);
  if (known !== undefined) {
    await kit.kv
      .transact((tx) => removeBucket(tx, { name, nowMs }))
      .catch((error: unknown) => {
        if (isGfsError(error, "NotEmpty")) throw notEmpty(name);
        if (isGfsError(error, "NotFound")) throw noSuchBucket(name);
        throw error;
      });
  }
  await removeMarkers(kit, ctx, prefix);
}

function notEmpty(name: string): GfsError {
  return new GfsError(
    "NotEmpty",
    `${name} is not empty; remove its objects, their versions and delete markers first.`,
    {
      op: "coordinator.buckets",
      context: { s3: "BucketNotEmpty", bucket: name },
    },
  );
}

async function abortUploads(
  ctx: Ctx,
  prefix: string,
  uploads: Pick<UploadService, "listUploads" | "abortUpload">,
): Promise<void> {
  for (;;) {
    const page = await uploads.listUploads(ctx, { prefix, limit: PAGE });
    for (const { key, uploadId } of page.uploads) await uploads.abortUpload(ctx, { key, uploadId });
    if (page.next === undefined) return;
  }
}

/** Other tools mark a directory with an object of its name; left there, it would be a bucket again. */
async function removeMarkers(kit: Kit, ctx: Ctx, prefix: string): Promise<void> {
  const merged = await sitesWithForeign(kit);
  // That the bucket is gone may only have been read.
  await kit.kv.flush();
  await forEachBounded(merged, PARALLEL_SITES, async (site) => {
    try {
      await site.store.delete(ctx, prefix);
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (!isGfsError(error, "NotFound"))
        kit.log.warn("bucket_marker_left", { site: site.name, key: prefix, error: String(error) });
    }
  });
}
