import { createLoop, type Loop } from "../../core/async/loop.ts";
import { backgroundCtx, type Ctx } from "../../core/context.ts";
import { toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import { encodeKey, type Key, type Program } from "../../kv/index.ts";
import {
  type BucketSettings,
  type LifecycleRule,
  pageBuckets,
  pageVersions,
  shownVersionId,
  type VersionItem,
  type VersionPage,
  type VersionPlace,
} from "../../namespace/index.ts";
import { deleteCurrent, deleteVersion } from "../objects/delete.ts";
import {
  DAY_MS,
  dueAfter,
  expiryOf,
  isLoneMarkerDue,
  isNoncurrentDue,
  matches,
  type Subject,
} from "./lifecycle-rules.ts";
import type { Kit } from "../kit.ts";
import type { UploadService } from "../service/service.ts";

/**
 * Carries out the lifecycle of buckets: the leader walks each bucket that has rules, a bounded stretch a turn, and remembers in a row how far it has
 * come. What is locked stays, and what has changed since it was looked at is left for the next walk. Objects that only sites know have no age here.
 */
const SPACE = "coordinator-lifecycle";
const BUCKETS_A_PAGE = 500;
const VERSIONS_A_PAGE = 500;
const PAGES_A_TURN = 20;
const UPLOADS_A_PAGE = 500;
const SHORTEST_PAUSE_MS = 1_000;

type Uploads = Pick<UploadService, "listUploads" | "abortUpload">;

export function createLifecycle(kit: Kit, uploads: Uploads): Loop {
  const { clock, log, settings } = kit;
  const dayMs = settings.lifecycleDayMs ?? DAY_MS;
  const pauseMs = Math.min(settings.housekeepingIntervalMs, Math.max(SHORTEST_PAUSE_MS, dayMs / 10));
  return createLoop({
    clock,
    async turn(signal) {
      const ctx = backgroundCtx({ signal, log, requestId: "lifecycle" });
      return (await lifecycleTurn(kit, ctx, uploads)) ? 0 : pauseMs;
    },
    onFailure(error) {
      log.warn("lifecycle_failed", { error: String(error) });
      return pauseMs;
    },
  });
}

/** One stretch of each bucket; resolves with whether any has more to walk. */
export async function lifecycleTurn(kit: Kit, ctx: Ctx, uploads: Uploads): Promise<boolean> {
  let more = false;
  let after: string | undefined;
  do {
    const from = after;
    const page = await kit.kv.view((tx) =>
      pageBuckets(tx, { limit: BUCKETS_A_PAGE, ...(from === undefined ? {} : { after: from }) }),
    );
    for (const bucket of page.buckets) {
      if (ctx.signal.aborted) return false;
      const rules = bucket.lifecycle.filter((rule) => rule.enabled);
      if (rules.length === 0) continue;
      await abortUploads(kit, ctx, { bucket, rules, uploads });
      if (await walkBucket(kit, ctx, { bucket, rules })) more = true;
    }
    after = page.next;
  } while (after !== undefined);
  return more;
}

interface Walk {
  readonly bucket: BucketSettings;
  readonly rules: readonly LifecycleRule[];
}

/** How far a walk has come, and what it must know of the key that it stands in. */
interface Position {
  readonly after?: VersionPlace;
  readonly key?: string;
  /** How many versions of the key that are not current were seen. */
  readonly rank: number;
  /** When the version before, which is newer, was made. */
  readonly newerMs?: number;
}

const BEGINNING: Position = { rank: 0 };

function positionKey(bucket: string): Key {
  return encodeKey(SPACE, bucket);
}

async function walkBucket(kit: Kit, ctx: Ctx, walk: Walk): Promise<boolean> {
  const { name } = walk.bucket;
  const row = await kit.kv.view((tx) => tx.get(positionKey(name)));
  let position = row === undefined ? BEGINNING : (JSON.parse(Buffer.from(row).toString()) as Position);
  const prefix = `${name}/${commonPrefix(walk.rules)}`;
  for (let turn = 0; turn < PAGES_A_TURN; turn++) {
    if (ctx.signal.aborted) return false;
    const { after } = position;
    const page = await kit.kv.view((tx) =>
      pageVersions(tx, { prefix, limit: VERSIONS_A_PAGE, ...(after === undefined ? {} : { after }) }),
    );
    position = await applyTo(kit, ctx, { walk, page, position });
    const { next } = page;
    // A page that is gone through again finds nothing left to do.
    await kit.kv.transact(
      function* (tx): Program<void> {
        if (next !== undefined) tx.put(positionKey(name), Buffer.from(JSON.stringify({ ...position, after: next })));
        else if (row !== undefined || turn > 0) tx.delete(positionKey(name));
      },
      { durability: "visible" },
    );
    if (next === undefined) return false;
    position = { ...position, after: next };
  }
  return true;
}

function commonPrefix(rules: readonly LifecycleRule[]): string {
  let common = rules[0]?.filter.prefix ?? "";
  for (const { filter } of rules) {
    const prefix = filter.prefix ?? "";
    let length = 0;
    while (length < common.length && common[length] === prefix[length]) length += 1;
    common = common.slice(0, length);
  }
  return common;
}

interface Stretch {
  readonly walk: Walk;
  readonly page: VersionPage;
  readonly position: Position;
}

async function applyTo(kit: Kit, ctx: Ctx, { walk, page, position }: Stretch): Promise<Position> {
  let { key, rank, newerMs } = position;
  for (const [index, item] of page.items.entries()) {
    if (ctx.signal.aborted) break;
    if (item.key !== key) {
      key = item.key;
      rank = 0;
      newerMs = undefined;
    }
    if (item.key.endsWith("/")) continue;
    const createdMs = item.row?.createdMs ?? item.file?.version?.createdMs ?? 0;
    if (item.row === undefined) await expireCurrent(kit, ctx, walk, item);
    else if (item.isLatest) {
      const alone = page.items[index + 1]?.key !== item.key;
      if (alone) await removeLoneMarker(kit, ctx, walk, item);
    } else {
      rank += 1;
      await removeNoncurrent(kit, ctx, walk, { item, rank, supersededMs: newerMs ?? createdMs });
    }
    newerMs = createdMs;
  }
  return { rank, ...(key === undefined ? {} : { key }), ...(newerMs === undefined ? {} : { newerMs }) };
}

function subjectOf({ bucket }: Walk, { key, file, row }: VersionItem): Subject {
  const name = key.slice(bucket.name.length + 1);
  const version = file?.version;
  if (version === undefined) return { name, createdMs: row?.createdMs ?? 0 };
  const tags = version.details?.labels?.tags;
  const { createdMs, sizeBytes } = version;
  return { name, createdMs, sizeBytes, ...(tags === undefined ? {} : { tags }) };
}

function timesOf({ clock, settings }: Kit): { readonly nowMs: number; readonly dayMs: number } {
  return { nowMs: clock.nowMs(), dayMs: settings.lifecycleDayMs ?? DAY_MS };
}

async function expireCurrent(kit: Kit, ctx: Ctx, walk: Walk, item: VersionItem): Promise<void> {
  const { nowMs, dayMs } = timesOf(kit);
  const version = item.file?.version;
  const expiry = version === undefined ? undefined : expiryOf(walk.rules, subjectOf(walk, item), dayMs);
  if (version === undefined || expiry === undefined || expiry.atMs > nowMs) return;
  const { owner } = walk.bucket;
  await attempt(kit, item, async () => {
    await deleteCurrent(kit, ctx, {
      path: item.key as FilePath,
      expect: { kind: "version", id: version.id },
      expired: true,
      ...(owner === undefined ? {} : { owner }),
    });
  });
}

async function removeLoneMarker(kit: Kit, ctx: Ctx, walk: Walk, item: VersionItem): Promise<void> {
  if (item.row === undefined || !isLoneMarkerDue(walk.rules, subjectOf(walk, item), timesOf(kit))) return;
  const versionId = shownVersionId(item.row);
  await attempt(kit, item, async () => {
    await deleteVersion(kit, ctx, { path: item.key as FilePath, versionId, only: "lone marker" });
  });
}

interface Superseded {
  readonly item: VersionItem;
  readonly rank: number;
  readonly supersededMs: number;
}

async function removeNoncurrent(
  kit: Kit,
  ctx: Ctx,
  walk: Walk,
  { item, rank, supersededMs }: Superseded,
): Promise<void> {
  const subject = { ...subjectOf(walk, item), rank, supersededMs };
  if (item.row === undefined || !isNoncurrentDue(walk.rules, subject, timesOf(kit))) return;
  const versionId = shownVersionId(item.row);
  await attempt(kit, item, async () => {
    await deleteVersion(kit, ctx, { path: item.key as FilePath, versionId, only: "older" });
  });
}

/** One key that cannot be dealt with now must not stop the others; the next walk comes by again. */
async function attempt(kit: Kit, { key }: VersionItem, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    kit.log.debug("lifecycle_removed", { key });
  } catch (error) {
    const failure = toGfsError(error, "coordinator.lifecycle");
    if (failure.code === "Canceled") throw failure;
    if (failure.code === "PermissionDenied" || failure.code === "Conflict") return;
    kit.log.warn("lifecycle_left", { key, error: failure.message });
  }
}

async function abortUploads(
  kit: Kit,
  ctx: Ctx,
  { bucket, rules, uploads }: Walk & { readonly uploads: Uploads },
): Promise<void> {
  const { nowMs, dayMs } = timesOf(kit);
  const aborting = rules.filter((rule) => rule.abortUploadsAfterDays !== undefined);
  if (aborting.length === 0) return;
  const prefix = `${bucket.name}/`;
  let next: { readonly key: string; readonly uploadId?: string } | undefined;
  for (let turn = 0; turn < PAGES_A_TURN && !ctx.signal.aborted; turn++) {
    const page = await uploads.listUploads(ctx, {
      prefix,
      limit: UPLOADS_A_PAGE,
      ...(next === undefined ? {} : { afterKey: next.key }),
      ...(next?.uploadId === undefined ? {} : { afterUploadId: next.uploadId }),
    });
    for (const { key, uploadId, startedMs } of page.uploads) {
      const subject = { name: key.slice(prefix.length), createdMs: startedMs };
      const due = aborting.some(
        (rule) => matches(rule, subject) && dueAfter(startedMs, rule.abortUploadsAfterDays as number, dayMs) <= nowMs,
      );
      if (due) await uploads.abortUpload(ctx, { key, uploadId });
    }
    next = page.next;
    if (next === undefined) return;
  }
}
