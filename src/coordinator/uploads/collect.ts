import type { Ctx } from "../../core/context.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import {
  type BegunUpload,
  findTopDirectory,
  findUpload,
  homelessBuckets,
  isUploadInUse,
  listUploads,
  oldUploads,
  type UploadPage,
} from "../../namespace/index.ts";
import type { UploadCheck } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import type { UploadContext } from "./context.ts";
import { forgetEnded } from "./ended.ts";
import { endAborted } from "./open.ts";

const UPLOADS_A_PAGE = 200;

/**
 * What the leader does for uploads: ends those that nobody completed in time or whose bucket is gone, and forgets what became of old ones. Each is found by when it
 * is due, so that those that may go on cost nothing.
 */
export async function collectUploads(context: UploadContext, ctx: Ctx): Promise<void> {
  await collectOld(context, ctx);
  await collectHomeless(context, ctx);
  await forgetEnded(context.kit);
}

async function collectOld(context: UploadContext, ctx: Ctx): Promise<void> {
  const { kv, clock, settings } = context.kit;
  const untilMs = clock.nowMs() - settings.uploadRetentionMs;
  let after: BegunUpload | undefined;
  do {
    const from = after;
    const page = await kv.view((tx) => oldUploads(tx, { untilMs, limit: UPLOADS_A_PAGE, after: from }));
    for (const upload of page) {
      if (ctx.signal.aborted) return;
      await collectOne(context, upload);
    }
    // What could not be ended is tried again by another turn.
    after = page.at(-1);
  } while (after !== undefined);
}

/** Those into buckets that have lost their names. Where there is one of the name again they may go on. */
async function collectHomeless(context: UploadContext, ctx: Ctx): Promise<void> {
  const { kv } = context.kit;
  for (const { bucket, key } of await kv.view((tx) => homelessBuckets(tx, UPLOADS_A_PAGE))) {
    let isDone = true;
    let after: UploadPage["next"];
    do {
      const query = {
        prefix: `${bucket}/`,
        limit: UPLOADS_A_PAGE,
        ...(after === undefined ? {} : { afterKey: after.key, afterUploadId: after.uploadId ?? "" }),
      };
      if ((await kv.view((tx) => findTopDirectory(tx, bucket))) !== undefined) break;
      const page = await kv.view((tx) => listUploads(tx, query));
      for (const upload of page.uploads) {
        if (ctx.signal.aborted) return;
        if (upload.inBucket && !(await collectOne(context, upload))) isDone = false;
      }
      after = page.next;
    } while (after !== undefined);
    if (!isDone) continue;
    // oxlint-disable-next-line eslint/require-yield -- It only writes.
    await kv.transact(function* (tx): Program<void> {
      tx.delete(key);
    }, AGAIN);
  }
}

/** The next turn finds what a crash brings back. */
const AGAIN = { durability: "visible" } as const;

/** Resolves with whether it has ended. */
async function collectOne({ kit, gate }: UploadContext, { path, uploadId }: UploadName): Promise<boolean> {
  try {
    await gate.end(uploadId, async () => {
      const upload = await kit.kv.view((tx) => findUpload(tx, path, uploadId));
      if (upload !== undefined) await endAborted(kit, upload);
    });
    kit.log.info("upload_collected", { path, upload: uploadId });
    return true;
  } catch (error) {
    // Another turn tries again; one upload must not keep the others.
    kit.log.warn("upload_not_collected", { path, upload: uploadId, error: String(error) });
    return false;
  }
}

type UploadName = Pick<BegunUpload, "path" | "uploadId">;

/** For one sweep of a site: uploads of its own that belong to one of ours, or to a job. */
export function uploadCheck(kit: Kit, site: SiteName): UploadCheck {
  // What a job begins meanwhile is too young for a sweep.
  let ofJobs: Promise<ReadonlySet<string>> | undefined;
  return async (uploadId) => {
    if (await kit.kv.view((tx) => isUploadInUse(tx, site, uploadId))) return true;
    ofJobs ??= kit.mover.uploadsAt(site);
    if ((await ofJobs).has(uploadId)) return true;
    // Power loss may bring a row back that was only just gone.
    await kit.kv.flush();
    return false;
  };
}
