import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { findOwner, findTombstone, isBuried } from "../../namespace/index.ts";
import type { Landed } from "./landing.ts";
import { landedKey } from "./object-keys.ts";

/**
 * What landed under its path is nobody's until the commit. Another process that has claimed the path since, or deleted what lay there, may replace the object or
 * take it away at any moment: the commit must not name it, and a copy of it under a key that nobody else has takes its place.
 */

export interface Landing {
  readonly path: FilePath;
  readonly versionId: VersionId;
  readonly landed: readonly Landed[];
}

export function* findExposed(tx: Reader, { path, versionId, landed }: Landing): Program<readonly Landed[]> {
  const atPath = landed.filter(({ objectKey }) => objectKey === path);
  if (atPath.length === 0) return [];
  const tombstone = yield* findTombstone(tx, path);
  const exposed: Landed[] = [];
  for (const place of atPath) {
    const { site, info } = place;
    const owner = yield* findOwner(tx, site.name, path);
    // Somebody may have looked at the site and taken it in: then it is this very version's.
    const isClaimed = owner !== undefined && owner.versionId !== versionId;
    const object = { ...info, metadata: { "globalfs-version": versionId } };
    const isDeleted = isBuried(tombstone, object) || tombstone?.etags.includes(info.etag) === true;
    if (isClaimed || isDeleted) exposed.push(place);
  }
  return exposed;
}

export async function shelter(
  ctx: Ctx,
  { path, versionId }: Omit<Landing, "landed">,
  { site, info }: Landed,
): Promise<Landed> {
  const objectKey = landedKey(path, versionId);
  try {
    return { site, objectKey, info: await site.store.copy(ctx, path, objectKey, { sourceIfMatch: info.etag }) };
  } catch (error) {
    throw new GfsError(
      "Unavailable",
      `${path} was written or deleted through another process at the same time, and what was sent is gone from site ${site.name}; send it again.`,
      { op: "coordinator.write", cause: error },
    );
  }
}
