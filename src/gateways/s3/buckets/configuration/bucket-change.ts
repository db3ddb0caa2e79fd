import type { Bucket, BucketChange } from "../../../../coordinator/service/service.ts";
import { notImplemented, s3Error } from "../../wire/errors.ts";
import type { S3Deps, S3Request } from "../../wire/request.ts";

/** The bucket that a configuration is about; operations with `bucket: "exists"` always have one. */
export function bucketOf({ settings }: S3Request): Bucket {
  if (settings === undefined) throw s3Error("NotFound", "NoSuchBucket", "The specified bucket does not exist.");
  return settings;
}

export async function changeBucket(request: S3Request, deps: S3Deps, change: BucketChange): Promise<Bucket> {
  if (deps.settings.rootBucket !== undefined) {
    throw notImplemented(
      "The bucket that shows the whole tree keeps no configuration; configure buckets of their own.",
    );
  }
  return await deps.service.changeBucket(request.ctx, request.bucket, change);
}
