import { throwIfAborted, type Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Copy, FileVersion } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import { findJobFile, setJobCopy } from "../job-file.ts";
import { enqueueJob } from "../jobs.ts";
import { done, type Outcome } from "../outcome.ts";
import { createProof } from "../proof.ts";
import type { Job } from "../types.ts";
import type { Attempt } from "./replicate.ts";

/** Reads a copy back to the last byte. One that is not what it should be is taken out of use, and a repair is ordered. */
export async function verifyCopy(ctx: Ctx, job: Job, attempt: Attempt): Promise<Outcome> {
  const { deps } = attempt;
  const site = deps.sites.find(job.site);
  const version = (await deps.kv.view((tx) => findJobFile(tx, job)))?.version;
  const copy = version?.copies.find((each) => each.site === job.site);
  if (site === undefined || version?.id !== job.versionId || copy === undefined)
    return done(undefined, "There is no such copy any more.");
  if (copy.state === "pending") return done(undefined, "The bytes are still on their way.");
  const found = await readBack(ctx, { site, copy, version }, (sizeBytes) =>
    attempt.onBytes(site.name, site.name, sizeBytes),
  );
  if (found !== "intact") {
    const reason =
      found === "absent" ? "The object is gone from the site." : "The site holds other bytes than were written.";
    const stale: Copy = { ...copy, state: "stale", reason, changedMs: deps.clock.nowMs() };
    return done(function* (tx) {
      if (!(yield* setJobCopy(tx, job, stale))) return;
      yield* enqueueJob(
        tx,
        {
          kind: "repair",
          path: job.path,
          inode: job.inode,
          versionId: job.versionId,
          site: job.site,
          key: copy.key,
          sizeBytes: version.sizeBytes,
          priority: 5,
        },
        { id: deps.nextJobId(), nowMs: stale.changedMs, limit: Number.MAX_SAFE_INTEGER },
      );
    }, reason);
  }
  return done();
}

interface CopyAtSite {
  readonly site: Site;
  readonly copy: Copy;
  readonly version: FileVersion;
}

async function readBack(
  ctx: Ctx,
  { site, copy, version }: CopyAtSite,
  onBytes: (sizeBytes: number) => void,
): Promise<"intact" | "absent" | "corrupt"> {
  const proof = createProof(version);
  try {
    const body = await site.store.get(ctx, copy.key);
    for await (const chunk of body.stream) {
      throwIfAborted(ctx, "mover.verify");
      proof?.update(chunk);
      onBytes(chunk.byteLength);
    }
    return proof?.holds() === false ? "corrupt" : "intact";
  } catch (error) {
    if (isGfsError(error, "NotFound")) return "absent";
    if (isGfsError(error, "DataCorrupt")) return "corrupt";
    throw error;
  }
}
