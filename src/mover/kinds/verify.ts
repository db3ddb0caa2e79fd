import { throwIfAborted, type Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Copy, FileVersion } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import { findJobFile, isSameObject, setJobCopy } from "../job-file.ts";
import { follow, publishArrived } from "../follow-ups.ts";
import { done, type Outcome } from "../outcome.ts";
import { createProof } from "../proof.ts";
import type { Job } from "../types.ts";
import type { Attempt } from "./replicate.ts";

/** Reads a copy back to the last byte. One that is not what it should be is taken out of use, and a repair is ordered. */
export async function verifyCopy(ctx: Ctx, job: Job, attempt: Attempt): Promise<Outcome> {
  const { deps } = attempt;
  const site = deps.sites.find(job.site);
  const file = await deps.kv.view((tx) => findJobFile(tx, job));
  const version = file?.version;
  const copy = version?.copies.find((each) => each.site === job.site);
  if (site === undefined || file === undefined || version === undefined || copy === undefined)
    return done(undefined, "There is no such copy any more.");
  if (copy.state === "pending") return done(undefined, "The bytes are still on their way.");
  const found = await readBack(ctx, { site, copy, version }, (sizeBytes) =>
    attempt.onBytes(site.name, site.name, sizeBytes),
  );
  if (found.state === "other") {
    await deps.settle(ctx, { path: job.path, inode: file.inode, site });
    return done(undefined, "The site holds another object than was written there; it was looked into.");
  }
  const when = isSameObject(copy);
  if (found.state !== "intact") {
    const reason =
      found.state === "absent" ? "The object is gone from the site." : "The site holds other bytes than were written.";
    const stale: Copy = { ...copy, state: "stale", reason, changedMs: deps.clock.nowMs() };
    return done(function* (tx) {
      if ((yield* setJobCopy(tx, job, { copy: stale, when })) === undefined) return;
      yield* follow(tx, deps, {
        kind: "repair",
        path: job.path,
        inode: job.inode,
        versionId: job.versionId,
        site: job.site,
        key: copy.key,
        sizeBytes: version.sizeBytes,
        priority: 5,
        ...etagOf(found),
      });
    }, reason);
  }
  if (copy.state === "present" || copy.state === "foreign") return done();
  const { reason: _, ...rest } = copy;
  const right: Copy = { ...rest, state: "present", changedMs: deps.clock.nowMs(), ...etagOf(found) };
  return done(function* (tx) {
    const holder = yield* setJobCopy(tx, job, { copy: right, when });
    if (holder !== undefined) yield* publishArrived(tx, deps, { inode: holder.inode, site: site.name });
  });
}

function etagOf({ etag }: ReadBack): { readonly etag?: string } {
  return etag === undefined ? {} : { etag };
}

interface CopyAtSite {
  readonly site: Site;
  readonly copy: Copy;
  readonly version: FileVersion;
}

interface ReadBack {
  /** other: not the object that was written there. */
  readonly state: "intact" | "absent" | "corrupt" | "other";
  /** Of what lies there. */
  readonly etag?: string | undefined;
}

async function readBack(
  ctx: Ctx,
  { site, copy, version }: CopyAtSite,
  onBytes: (sizeBytes: number) => void,
): Promise<ReadBack> {
  const proof = createProof(version);
  let etag: string | undefined;
  try {
    const body = await site.store.get(ctx, copy.key);
    ({ etag } = body.info);
    if (copy.etag !== undefined && etag !== copy.etag) {
      body.cancel();
      return { state: "other", etag };
    }
    let sizeBytes = 0;
    for await (const chunk of body.stream) {
      throwIfAborted(ctx, "mover.verify");
      proof?.update(chunk);
      sizeBytes += chunk.byteLength;
      onBytes(chunk.byteLength);
    }
    return { state: sizeBytes !== version.sizeBytes || proof?.holds() === false ? "corrupt" : "intact", etag };
  } catch (error) {
    if (isGfsError(error, "NotFound")) return { state: "absent" };
    if (isGfsError(error, "DataCorrupt")) return { state: "corrupt", etag };
    throw error;
  }
}
