import type { Ctx } from "../../core/context.ts";
import type { SiteName } from "../../core/ids.ts";
import { findUpload, isUploadInUse, listUploads, type UploadRecord } from "../../namespace/index.ts";
import type { UploadCheck } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import type { UploadContext } from "./context.ts";
import { forgetEnded } from "./ended.ts";
import { endAborted, findBucketOf } from "./open.ts";

const UPLOADS_A_PAGE = 200;

/**
 * What the leader does for uploads: ends those that nobody completed in time or whose bucket is gone, and forgets what became of old ones.
 */
export async function collectUploads(context: UploadContext, ctx: Ctx): Promise<void> {
  const { kit } = context;
  let after: { readonly key: string; readonly uploadId?: string } | undefined;
  do {
    const from = after;
    const page = await kit.kv.view((tx) =>
      listUploads(tx, {
        prefix: "",
        limit: UPLOADS_A_PAGE,
        ...(from === undefined ? {} : { afterKey: from.key }),
        ...(from?.uploadId === undefined ? {} : { afterUploadId: from.uploadId }),
      }),
    );
    for (const upload of page.uploads) {
      if (ctx.signal.aborted) return;
      await collectOne(context, upload);
    }
    after = page.next;
  } while (after !== undefined);
  await forgetEnded(kit);
}

async function collectOne(context: UploadContext, listed: UploadRecord): Promise<void> {
  const { kit } = context;
  const { path, uploadId } = listed;
  const nowMs = kit.clock.nowMs();
  const old = listed.startedMs <= nowMs - kit.settings.uploadRetentionMs;
  const homeless = listed.inBucket && (await kit.kv.view((tx) => findBucketOf(tx, path))) === undefined;
  if (!old && !homeless) return;
  try {
    await context.gate.end(uploadId, async () => {
      const upload = await kit.kv.view((tx) => findUpload(tx, path, uploadId));
      if (upload !== undefined) await endAborted(kit, upload);
    });
    kit.log.info("upload_collected", { path, upload: uploadId });
  } catch (error) {
    // Another turn tries again; one upload must not keep the others.
    kit.log.warn("upload_not_collected", { path, upload: uploadId, error: String(error) });
  }
}

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
