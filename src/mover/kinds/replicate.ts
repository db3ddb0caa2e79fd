import type { Semaphore } from "../../core/async/semaphore.ts";
import type { TokenBucket } from "../../core/async/token-bucket.ts";
import { type Ctx, throwIfAborted } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { type Copy, type FileRecord, type FileVersion, findOwner } from "../../namespace/index.ts";
import { headIfThere, type ObjectInfo, type Site, type Store, type WriteConditions } from "../../stores/index.ts";
import type { MoverConfig, MoverDeps } from "../context.ts";
import { findJobFile, isSameObject, setJobCopy } from "../job-file.ts";
import { follow, publishArrived, removalOf } from "../follow-ups.ts";
import { done, type Failed, type Outcome } from "../outcome.ts";
import { createProof } from "../proof.ts";
import { type Ready, type Source, transfer } from "../transfer.ts";
import type { Job } from "../types.ts";

/** What a running job may use of the mover. */
export interface Attempt {
  readonly deps: MoverDeps;
  readonly config: MoverConfig;
  readonly budget: Semaphore;
  readonly bucketOf: (from: string, to: string) => TokenBucket | undefined;
  readonly onBytes: (from: string, to: string, sizeBytes: number) => void;
  readonly onUpload: (upload: { readonly uploadId: string; readonly partSizeBytes: number }) => Promise<void>;
}

/** Brings a version's bytes to a site, or back to it (`repair`), and says so in the catalog. */
export async function replicate(ctx: Ctx, job: Job, attempt: Attempt): Promise<Outcome> {
  const { deps } = attempt;
  const { file, version, taken, inode } = await look(deps, job);
  if (file === undefined || version === undefined) return done(undefined, MOOT);
  const target = deps.sites.find(job.site);
  if (target === undefined) return giveUp(job, version, `Site ${job.site} is not registered any more.`, deps);
  const known = version.copies.find((copy) => copy.site === job.site);
  if (known !== undefined && known.key !== job.key) return done(undefined, MOVED);
  if (job.kind === "replicate" && known?.state === "present") return done(undefined, "The copy was there already.");
  let conditions: WriteConditions = {};
  if (job.kind === "repair") {
    const intact = await isIntact(ctx, target, job.key, known);
    if (intact !== undefined)
      return done((tx) => recordCopy(tx, job, { ...intact, changedMs: deps.clock.nowMs() }, deps));
    const there = await lookAtTarget(ctx, target, job, { version, known });
    if (there.kind === "other") {
      await deps.settle(ctx, { path: job.path, inode, site: target });
      return done(undefined, "Another object was put there meanwhile; it was looked into.");
    }
    if (there.kind === "right") {
      const { etag } = there.info;
      const changedMs = deps.clock.nowMs();
      const right: Copy = { site: target.name, key: job.key, state: "present", etag, changedMs };
      return done((tx) => recordCopy(tx, job, right, deps), "The bytes at the site are right.");
    }
    ({ conditions } = there);
  }
  if (taken) return keyTaken(job);
  const sources = sourcesOf(job, version, deps);
  if (sources.length === 0) {
    const held = version.copies.some((copy) => copy.site !== job.site && isReadable(copy));
    if (held) throw new GfsError("Unavailable", "No site that holds the bytes can be read now.");
    return giveUp(job, version, "No other site holds the bytes.", deps);
  }
  const ready = await transferFromAny(ctx, job, version, { sources, target, attempt, file });
  const landed = await deps.locks.run(job.key, async () => await commit(ctx, job, { ready, conditions, deps }));
  if ("kind" in landed) return landed;
  await verify(ctx, version, {
    target,
    key: job.key,
    info: landed,
    mode: ready.unproven ? "read" : attempt.config.verify,
  });
  const copy: Copy = {
    site: target.name,
    key: job.key,
    state: "present",
    etag: landed.etag,
    changedMs: deps.clock.nowMs(),
  };
  return done((tx) => recordCopy(tx, job, copy, deps));
}

const MOOT = "The file has another version by now, or is gone.";
const MOVED = "The copy lies under another key by now.";

interface Look {
  /** Has the job's version, while somebody holds it. */
  readonly file: FileRecord | undefined;
  readonly version: FileVersion | undefined;
  /** Who holds it, or held it. */
  readonly inode: Job["inode"];
  /** The key at the site belongs to another file. */
  readonly taken: boolean;
}

async function look(deps: MoverDeps, job: Job): Promise<Look> {
  return await deps.kv.view(function* (tx): Program<Look> {
    const file = yield* findJobFile(tx, job);
    const owner = yield* findOwner(tx, job.site, job.key);
    const inode = file?.inode ?? job.inode;
    return { file, version: file?.version, inode, taken: owner !== undefined && owner.inode !== inode };
  });
}

function keyTaken(job: Job): Outcome {
  return { kind: "later", reason: `At ${job.site} the key ${job.key} still belongs to another file.`, delayMs: 5_000 };
}

function isReadable(copy: Copy): boolean {
  return copy.state === "present" || copy.state === "foreign";
}

/** The site still (or again) holds exactly what the catalog says: another try is not needed. */
async function isIntact(ctx: Ctx, target: Site, key: string, copy: Copy | undefined): Promise<Copy | undefined> {
  // A copy that was found wrong may well have kept its etag.
  if (copy?.etag === undefined || copy.key !== key || !isReadable(copy)) return undefined;
  const info = await headIfThere(ctx, target.store, key);
  return info?.etag === copy.etag ? copy : undefined;
}

type There =
  /** The version's own bytes. */
  | { readonly kind: "right"; readonly info: ObjectInfo }
  /** Somebody has put it there since the repair was ordered, who is no write of ours that failed. */
  | { readonly kind: "other" }
  /** Nothing, or what the repair is for: only over that it goes. */
  | { readonly kind: "wrong"; readonly conditions: WriteConditions };

interface Expected {
  readonly version: FileVersion;
  readonly known: Copy | undefined;
}

/** Before anything goes over what lies there. */
async function lookAtTarget(ctx: Ctx, { store }: Site, job: Job, { version, known }: Expected): Promise<There> {
  const { conditionalWrites, userMetadata } = store.capabilities;
  const wrong = (conditions: WriteConditions): There => ({
    kind: "wrong",
    conditions: conditionalWrites ? conditions : {},
  });
  const info = await headIfThere(ctx, store, job.key);
  if (info === undefined) return wrong({ ifNoneMatch: "*" });
  if (await isVersion(ctx, store, info, version)) return { kind: "right", info };
  const ordered = job.etag ?? known?.etag;
  const foreign = info.metadata["globalfs-version"] === undefined;
  // Where a site keeps no metadata nobody can tell whose it is.
  const isOther = foreign && info.etag !== ordered && (userMetadata || ordered !== undefined);
  return isOther ? { kind: "other" } : wrong({ ifMatch: info.etag });
}

async function isVersion(ctx: Ctx, store: Store, info: ObjectInfo, version: FileVersion): Promise<boolean> {
  const proof = info.sizeBytes === version.sizeBytes ? createProof(version) : undefined;
  if (proof === undefined) return false;
  try {
    const body = await store.get(ctx, info.key, { ifMatch: info.etag, checkedByCaller: true });
    for await (const chunk of body.stream) {
      throwIfAborted(ctx, "mover.repair");
      proof.update(chunk);
    }
    return proof.holds();
  } catch (error) {
    if (isGfsError(error, "NotFound", "PreconditionFailed", "DataCorrupt")) return false;
    throw error;
  }
}

function sourcesOf(job: Job, version: FileVersion, deps: MoverDeps): Source[] {
  const sites = deps.rankSources(job.path);
  const ordered =
    job.from === undefined
      ? sites
      : [...sites].sort((one, other) => Number(other.name === job.from) - Number(one.name === job.from));
  const sources: Source[] = [];
  for (const site of ordered) {
    const copy = version.copies.find((each) => each.site === site.name);
    if (site.name === job.site || copy === undefined || !isReadable(copy)) continue;
    sources.push({ site, key: copy.key, ...(copy.etag === undefined ? {} : { etag: copy.etag }) });
  }
  return sources;
}

interface Way {
  readonly sources: readonly Source[];
  readonly target: Site;
  readonly attempt: Attempt;
  readonly file: FileRecord;
}

/** A source that fails is followed by the next; a target that fails ends the attempt. */
async function transferFromAny(
  ctx: Ctx,
  job: Job,
  version: FileVersion,
  { sources, target, attempt, file }: Way,
): Promise<Ready> {
  const { deps } = attempt;
  let failure: GfsError | undefined;
  let { upload } = job;
  for (const source of sources) {
    let atSource = false;
    const names = [source.site.name, target.name] as const;
    try {
      return await transfer(ctx, {
        version,
        source,
        target,
        key: job.key,
        attributes: deps.describeWrite(job.path, version, file),
        chunkBytes: attempt.config.transferChunkBytes,
        budget: attempt.budget,
        limit: attempt.bucketOf(...names),
        onBytes: (sizeBytes) => attempt.onBytes(...names, sizeBytes),
        onSourceFailure: () => {
          atSource = true;
        },
        upload,
        async onUpload(begun) {
          upload = begun;
          await attempt.onUpload(begun);
        },
      });
    } catch (error) {
      if (ctx.signal.aborted || !atSource) throw error;
      const found = toGfsError(error);
      // A site that is away may come back with the bytes, so that is what the job waits for.
      if (failure === undefined || (!isAway(failure) && isAway(found))) failure = found;
      deps.log.debug("transfer_failed", { job: job.id, from: source.site.name, to: target.name, error: found.message });
    }
  }
  const untried = version.copies.some(
    (copy) =>
      isReadable(copy) &&
      copy.site !== job.site &&
      deps.sites.find(copy.site) !== undefined &&
      !sources.some(({ site }) => site.name === copy.site),
  );
  if (untried && failure !== undefined && !isAway(failure))
    throw new GfsError("Unavailable", "No site that holds the bytes can be read now.", { cause: failure });
  throw failure;
}

function isAway(failure: GfsError): boolean {
  return isGfsError(failure, "Unavailable", "Timeout", "Overloaded");
}

interface Commit {
  readonly ready: Ready;
  readonly conditions: WriteConditions;
  readonly deps: MoverDeps;
}

/**
 * Under the lock the world is looked at once more: a delete or a newer version that came during the transfer wins, and these bytes are
 * thrown away before anybody sees them.
 */
async function commit(ctx: Ctx, job: Job, { ready, conditions, deps }: Commit): Promise<ObjectInfo | Outcome> {
  const { version, taken } = await look(deps, job);
  if (version !== undefined && !taken) {
    // Something may lie there that is no file's any more, as far as can be seen: power loss must not make it one again.
    await deps.kv.flush();
    return await ready.commit(ctx, conditions);
  }
  await ready.abort();
  return version === undefined ? done(undefined, MOOT) : keyTaken(job);
}

/** When the version went while the commit was under way, or its copy to another key, the object has no owner: a job removes it. */
function* recordCopy(tx: Transaction, job: Job, copy: Copy, deps: MoverDeps): Program<void> {
  const { site, key } = copy;
  const file = yield* setJobCopy(tx, job, { copy, when: (now) => now === undefined || now.key === key });
  if (file !== undefined) yield* publishArrived(tx, deps, { inode: file.inode, site });
  else if ((yield* findOwner(tx, site, key)) === undefined) yield* follow(tx, deps, removalOf(job, copy));
}

interface Verification {
  readonly target: Site;
  readonly key: string;
  readonly info: ObjectInfo;
  readonly mode: "metadata" | "read";
}

/** Asks the target for what it has, after the fact: a success it did not mean is found here. */
async function verify(ctx: Ctx, version: FileVersion, { target, key, info, mode }: Verification): Promise<void> {
  const proof = mode === "read" ? createProof(version) : undefined;
  if (proof !== undefined) {
    const body = await target.store.get(ctx, key, { ifMatch: info.etag });
    for await (const chunk of body.stream) proof.update(chunk);
    if (!proof.holds()) throw new GfsError("DataCorrupt", `Site ${target.name} stored other bytes than were sent.`);
    return;
  }
  // The answer to the write was the target's word already.
  if (info.verified === true) return;
  const found = await target.store.head(ctx, key);
  const differs = found.etag !== info.etag || found.sizeBytes !== version.sizeBytes;
  if (differs || (found.sha256 !== undefined && version.sha256 !== undefined && found.sha256 !== version.sha256)) {
    throw new GfsError("DataCorrupt", `Site ${target.name} says it has another object than was sent.`);
  }
}

/** The copy stays in the catalog, with the reason, so that `explain` can tell. */
export function giveUp(job: Job, version: FileVersion | undefined, reason: string, deps: MoverDeps): Failed {
  const copy = version?.copies.find((each) => each.site === job.site);
  if (copy === undefined || isReadable(copy)) return { kind: "failed", reason };
  const failed: Copy = { ...copy, state: "failed", reason, changedMs: deps.clock.nowMs() };
  return {
    kind: "failed",
    reason,
    record: function* (tx) {
      yield* setJobCopy(tx, job, { copy: failed, when: isSameObject(copy) });
    },
  };
}
