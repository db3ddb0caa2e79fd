import { ownershipOf } from "./bucket-access.ts";
import { isConfigKey } from "./keyring.ts";
import type { AccessBucket, Identity } from "./types.ts";

/** Who owns what is written into a bucket. */

export interface Handing {
  /** The writer offers the object to the bucket's owner, which counts where the bucket prefers that. */
  readonly handsOver?: boolean;
}

/**
 * Of a new object; undefined: it belongs to whoever owns the bucket. So do those of nameless writers and of keys from the configuration: an operator
 * who brings data into a bucket brings it to its owner.
 */
export function ownerOfNew(
  { user, accessKeyId }: Identity,
  bucket: AccessBucket | undefined,
  { handsOver = false }: Handing = {},
): string | undefined {
  const writer = user === "" || isConfigKey(accessKeyId) ? undefined : user;
  if (bucket === undefined) return writer;
  const ownership = ownershipOf(bucket);
  if (ownership === "BucketOwnerEnforced" || (ownership === "BucketOwnerPreferred" && handsOver))
    return bucket.owner ?? writer;
  return writer;
}
