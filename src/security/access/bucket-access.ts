import { type AccessList, readAccessList } from "./access-list.ts";
import { parsePolicy, type Policy } from "./policy-document.ts";
import type { AccessBucket } from "./types.ts";

/** What a bucket's documents say about access, read once for as long as the bucket does not change. */

export interface PublicAccessBlock {
  readonly blockPublicAcls: boolean;
  readonly ignorePublicAcls: boolean;
  readonly blockPublicPolicy: boolean;
  readonly restrictPublicBuckets: boolean;
}

/** Who owns what is written into a bucket. */
export const OWNERSHIPS = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] as const;
export type Ownership = (typeof OWNERSHIPS)[number];

interface Understood {
  policy?: Policy | "unreadable";
  accessList?: AccessList;
  block?: PublicAccessBlock;
}

const NOTHING_BLOCKED: PublicAccessBlock = {
  blockPublicAcls: false,
  ignorePublicAcls: false,
  blockPublicPolicy: false,
  restrictPublicBuckets: false,
};

/** The service hands out the same object while nothing has changed. */
const understood = new WeakMap<AccessBucket, Understood>();

function understand(bucket: AccessBucket): Understood {
  const known = understood.get(bucket);
  if (known !== undefined) return known;
  const fresh: Understood = {};
  understood.set(bucket, fresh);
  return fresh;
}

/** A policy that cannot be read any more, such as after going back to an older program, must not open anything: nobody passes it. */
export function policyOf(bucket: AccessBucket): Policy | "unreadable" | undefined {
  const text = bucket.documents["policy"];
  if (text === undefined) return undefined;
  const known = understand(bucket);
  if (known.policy === undefined) {
    try {
      known.policy = parsePolicy(text, bucket.name);
    } catch {
      known.policy = "unreadable";
    }
  }
  return known.policy;
}

export function accessListOf(bucket: AccessBucket): AccessList {
  const known = understand(bucket);
  known.accessList ??= readAccessList(bucket.documents["acl"]);
  return known.accessList;
}

export function ownershipOf(bucket: AccessBucket): Ownership | undefined {
  return bucket.documents["ownership"] as Ownership | undefined;
}

export function publicAccessBlockOf(bucket: AccessBucket): PublicAccessBlock {
  const text = bucket.documents["publicAccessBlock"];
  if (text === undefined) return NOTHING_BLOCKED;
  const known = understand(bucket);
  known.block ??= { ...NOTHING_BLOCKED, ...(JSON.parse(text) as Partial<PublicAccessBlock>) };
  return known.block;
}
