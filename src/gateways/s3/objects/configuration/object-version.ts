import type { ObjectMeta } from "../../../../coordinator/service/service.ts";
import type { S3Deps, S3Request } from "../../wire/request.ts";

/** The version that a request names: by its id, or the current one. */

export function versionIdOf({ query }: S3Request): string | undefined {
  return query.get("versionId");
}

export async function findVersion(request: S3Request, { service }: S3Deps): Promise<ObjectMeta> {
  const versionId = versionIdOf(request);
  const { meta } = await service.headObject(request.ctx, request.path, versionId === undefined ? {} : { versionId });
  return meta;
}

/** Buckets that never kept versions say nothing of them. */
export function versionHeaders({ settings }: S3Request, meta: ObjectMeta): readonly string[] {
  if (settings === undefined || settings.versioning === "off") return [];
  return ["x-amz-version-id", meta.details?.versioned === true ? meta.versionId : "null"];
}
