import { ownershipOf } from "./bucket-access.ts";
import type { AccessBucket, Identity } from "./types.ts";

/** Who owns what is written into a bucket. */

export interface Handing {
  /** The writer offers the object to the bucket's owner, which counts where the bucket prefers that. */
  readonly handsOver?: boolean;
}

/** Of a new object; undefined for those of nameless writers and of buckets that nobody owns. */
export function ownerOfNew(
  { user }: Identity,
  bucket: AccessBucket | undefined,
  { handsOver = false }: Handing = {},
): string | undefined {
  const writer = user === "" ? undefined : user;
  if (bucket === undefined) return writer;
  const ownership = ownershipOf(bucket);
  if (ownership === "BucketOwnerEnforced" || (ownership === "BucketOwnerPreferred" && handsOver))
    return bucket.owner ?? writer;
  return writer;
}
