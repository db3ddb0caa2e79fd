import type { Bucket } from "../../../coordinator/service/buckets.ts";
import type { S3Settings } from "../wire/request.ts";

/** How keys of buckets lie in the one tree: below a directory of the bucket's name, or as they are where one bucket is the whole tree. */

export function pathIn({ rootBucket }: Pick<S3Settings, "rootBucket">, bucket: string, key: string): string {
  return rootBucket === undefined ? `${bucket}/${key}` : key;
}

/** What every path of the bucket begins with. */
export function pathPrefix({ rootBucket }: Pick<S3Settings, "rootBucket">, bucket: string): string {
  return rootBucket === undefined ? `${bucket}/` : "";
}

/** The whole tree as a bucket: it has always been there, belongs to nobody, and keeps no settings. */
export function wholeTree(name: string): Bucket {
  return { name, createdMs: 0, versioning: "off", objectLock: false, lifecycle: [], documents: {} };
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNNAMEABLE = /[\u0000-\u001f\u007f]|\p{Surrogate}/u;
const MAX_PREFIX_BYTES = 1_024;

/** False when no key of the tree can begin so: the listing is empty then, and nobody need be asked. */
export function mayHoldKeys(prefix: string): boolean {
  if (UNNAMEABLE.test(prefix) || Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) return false;
  return prefix
    .split("/")
    .slice(0, -1)
    .every((component) => component !== "" && component !== "." && component !== "..");
}

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const RESERVED_NAME = /^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;

/** The rules of S3 for buckets that are made here. Directories that came otherwise may have other names, and are buckets all the same. */
export function isBucketName(name: string): boolean {
  if (!BUCKET_NAME.test(name) || RESERVED_NAME.test(name)) return false;
  return !/\.\.|\.-|-\./.test(name) && !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
}
