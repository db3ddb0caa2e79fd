import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import {
  type Copy,
  type FileRecord,
  type FileVersion,
  findFile,
  findOwner,
  findTombstone,
  isBuried,
  setCopy,
} from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import type { MoverDeps } from "../context.ts";
import { enqueueJob } from "../jobs.ts";
import { done, type Outcome } from "../outcome.ts";
import type { Job } from "../types.ts";

/** Gives a renamed file's object the file's path as its key, so that other tools find it there. Readers follow the catalog meanwhile. */
export async function relocate(ctx: Ctx, job: Job, deps: MoverDeps): Promise<Outcome> {
  const site = deps.sites.find(job.site);
  if (site === undefined) return done(undefined, `Site ${job.site} is not registered any more.`);
  if (job.key === job.path) return done(undefined, "The object is where it belongs.");
  if (!site.store.capabilities.serverSideCopy)
    return { kind: "failed", reason: `Site ${job.site} cannot copy objects by itself; the object keeps its key.` };
  // The lower key first, as everybody who holds two locks does.
  const [first, second] = [job.key, job.path as string].sort() as [string, string];
  return await deps.locks.run(
    first,
    async () => await deps.locks.run(second, async () => await move(ctx, job, site, deps)),
  );
}

interface Movable {
  readonly file: FileRecord;
  readonly version: FileVersion;
  readonly copy: Copy;
}

async function move(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<Outcome> {
  const found = await deps.kv.view(function* (tx): Program<Movable | "moot" | "taken"> {
    const file = yield* findFile(tx, job.path);
    const copy = file?.version?.copies.find((each) => each.site === site.name);
    if (file?.inode !== job.inode || file.version === undefined || copy?.key !== job.key || copy.key === job.path)
      return "moot";
    if (copy.state !== "present" && copy.state !== "foreign") return "moot";
    const owner = yield* findOwner(tx, site.name, job.path);
    return owner === undefined || owner.inode === job.inode ? { file, version: file.version, copy } : "taken";
  });
  if (found === "moot") {
    await removeOwnStray(ctx, job, site, deps);
    return done(
      undefined,
      "The file was renamed or written anew; its object is where it belongs, or another job moves it.",
    );
  }
  if (found === "taken")
    return { kind: "later", reason: `The key ${job.path} still belongs to another file's object.`, delayMs: 2_000 };
  if (await isOccupied(ctx, job, site, deps)) {
    return {
      kind: "failed",
      reason: `Another tool's object lies under ${job.path} at ${site.name}; the file keeps its object at ${job.key}.`,
    };
  }
  const info = await copyObject(ctx, job, site, found, deps);
  const nowMs = deps.clock.nowMs();
  const copy: Copy = { ...found.copy, key: job.path, etag: info.etag, changedMs: nowMs };
  return done(function* (tx) {
    const { inode, versionId, path } = job;
    const moved = yield* setCopy(tx, { inode, versionId: found.version.id, copy, nowMs });
    // Whichever of the two objects has no owner now is to go.
    const key = moved ? job.key : job.path;
    const etag = moved ? found.copy.etag : info.etag;
    yield* enqueueJob(
      tx,
      {
        kind: "remove",
        path,
        inode,
        versionId,
        site: site.name,
        key,
        sizeBytes: 0,
        priority: 20,
        ...(etag === undefined ? {} : { etag }),
      },
      { id: deps.nextJobId(), nowMs, limit: Number.MAX_SAFE_INTEGER },
    );
  });
}

async function copyObject(
  ctx: Ctx,
  job: Job,
  site: Site,
  { version, copy }: Movable,
  deps: MoverDeps,
): Promise<ObjectInfo> {
  const { contentType, metadata } = deps.describeWrite(job.path, version);
  return await site.store.copy(ctx, job.key, job.path, {
    ...(copy.etag === undefined ? {} : { sourceIfMatch: copy.etag }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(metadata === undefined ? {} : { metadata }),
  });
}

async function isOccupied(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<boolean> {
  try {
    const info = await site.store.head(ctx, job.path);
    // A copy of this very version, from an attempt that lost its answer, is ours.
    if (info.metadata["globalfs-version"] === job.versionId) return false;
    const tombstone = await deps.kv.view((tx) => findTombstone(tx, job.path));
    return !isBuried(tombstone, info) && site.foreign === "merge";
  } catch (error) {
    if (isGfsError(error, "NotFound")) return false;
    throw error;
  }
}

/** An earlier attempt may have made the copy and lost the answer; by now no file owns it. */
async function removeOwnStray(ctx: Ctx, job: Job, site: Site, deps: MoverDeps): Promise<void> {
  if ((await deps.kv.view((tx) => findOwner(tx, site.name, job.path))) !== undefined) return;
  try {
    const info = await site.store.head(ctx, job.path);
    if (info.metadata["globalfs-version"] !== job.versionId) return;
    await site.store.delete(ctx, job.path, { ifMatch: info.etag });
  } catch (error) {
    if (!isGfsError(error, "NotFound", "PreconditionFailed")) throw error;
  }
}
