/** The permissions that policies and grants speak of. */

const READING = [
  "GetAccelerateConfiguration",
  "GetAnalyticsConfiguration",
  "GetBucketAcl",
  "GetBucketCORS",
  "GetBucketLocation",
  "GetBucketLogging",
  "GetBucketObjectLockConfiguration",
  "GetBucketOwnershipControls",
  "GetBucketPolicyStatus",
  "GetBucketPublicAccessBlock",
  "GetBucketRequestPayment",
  "GetBucketTagging",
  "GetBucketVersioning",
  "GetBucketWebsite",
  "GetEncryptionConfiguration",
  "GetIntelligentTieringConfiguration",
  "GetInventoryConfiguration",
  "GetLifecycleConfiguration",
  "GetMetricsConfiguration",
  "GetObject",
  "GetObjectAcl",
  "GetObjectAttributes",
  "GetObjectLegalHold",
  "GetObjectRetention",
  "GetObjectTagging",
  "GetObjectTorrent",
  "GetObjectVersion",
  "GetObjectVersionAcl",
  "GetObjectVersionAttributes",
  "GetObjectVersionForReplication",
  "GetObjectVersionTagging",
  "GetObjectVersionTorrent",
  "GetReplicationConfiguration",
  "ListAllMyBuckets",
  "ListBucket",
  "ListBucketMultipartUploads",
  "ListBucketVersions",
  "ListMultipartUploadParts",
] as const;

const WRITING = [
  "AbortMultipartUpload",
  "CreateBucket",
  "DeleteBucket",
  "DeleteObject",
  "DeleteObjectTagging",
  "DeleteObjectVersion",
  "DeleteObjectVersionTagging",
  "PutObject",
  "PutObjectTagging",
  "PutObjectVersionTagging",
  "RestoreObject",
] as const;

/** Beyond readers and writers: what decides about others, tells of other systems, or cannot be undone. */
const GOVERNING = [
  "BypassGovernanceRetention",
  "DeleteBucketOwnershipControls",
  "DeleteBucketPolicy",
  "DeleteBucketWebsite",
  "GetBucketNotification",
  "GetBucketPolicy",
  "ObjectOwnerOverrideToBucketOwner",
  "PutAccelerateConfiguration",
  "PutAnalyticsConfiguration",
  "PutBucketAcl",
  "PutBucketCORS",
  "PutBucketLogging",
  "PutBucketNotification",
  "PutBucketObjectLockConfiguration",
  "PutBucketOwnershipControls",
  "PutBucketPolicy",
  "PutBucketPublicAccessBlock",
  "PutBucketRequestPayment",
  "PutBucketTagging",
  "PutBucketVersioning",
  "PutBucketWebsite",
  "PutEncryptionConfiguration",
  "PutIntelligentTieringConfiguration",
  "PutInventoryConfiguration",
  "PutLifecycleConfiguration",
  "PutMetricsConfiguration",
  "PutObjectAcl",
  "PutObjectLegalHold",
  "PutObjectRetention",
  "PutObjectVersionAcl",
  "PutReplicationConfiguration",
  "ReplicateDelete",
  "ReplicateObject",
  "ReplicateTags",
] as const;

/**
 * What there is to do beside S3's. Policies of buckets do not speak of it: only grants decide, over the whole tree for what concerns all of it.
 */
const WATCHING = ["globalfs:GetInfo", "globalfs:ListSites", "globalfs:GetMetrics"] as const;
const OPERATING = [
  "globalfs:ChangeSites",
  "globalfs:Import",
  "globalfs:PauseJobs",
  "globalfs:ChangeJob",
  "globalfs:Replicate",
  "globalfs:ManageKeys",
  "globalfs:ChangeOwner",
  "globalfs:ChangeQuotas",
  "globalfs:EvictSession",
  "globalfs:ReadAudit",
] as const;
export type GlobalfsAction = (typeof WATCHING)[number] | (typeof OPERATING)[number];
export const GLOBALFS_ACTIONS: readonly GlobalfsAction[] = [...WATCHING, ...OPERATING];

const named = (names: readonly string[]): ReadonlySet<string> => new Set(names.map((name) => `s3:${name}`));

export const READER_ACTIONS: ReadonlySet<string> = new Set([...named(READING), ...WATCHING]);
export const WRITER_ACTIONS: ReadonlySet<string> = new Set([...READER_ACTIONS, ...named(WRITING)]);
export const ALL_ACTIONS: ReadonlySet<string> = named([...READING, ...WRITING, ...GOVERNING]);

/** What a permission is called when the request names a version. */
const OF_VERSION: ReadonlyMap<string, string> = new Map(
  [
    ["GetObject", "GetObjectVersion"],
    ["GetObjectAcl", "GetObjectVersionAcl"],
    ["GetObjectAttributes", "GetObjectVersionAttributes"],
    ["GetObjectTagging", "GetObjectVersionTagging"],
    ["PutObjectAcl", "PutObjectVersionAcl"],
    ["PutObjectTagging", "PutObjectVersionTagging"],
    ["DeleteObject", "DeleteObjectVersion"],
    ["DeleteObjectTagging", "DeleteObjectVersionTagging"],
  ].map(([plain, version]) => [`s3:${plain}`, `s3:${version}`]),
);

export function actionOnVersion(action: string, versionId: string | undefined): string {
  return versionId === undefined ? action : (OF_VERSION.get(action) ?? action);
}

/** Whoever may list is told that an object is missing; to others a missing object looks like a closed one. */
export const READS_OBJECT = named([
  "GetObject",
  "GetObjectVersion",
  "GetObjectAcl",
  "GetObjectVersionAcl",
  "GetObjectAttributes",
  "GetObjectVersionAttributes",
  "GetObjectTagging",
  "GetObjectVersionTagging",
]);

/** On the objects of others, even the owner of the bucket needs to be let in for these. */
export const ON_CONTENT = named([
  "GetObject",
  "GetObjectVersion",
  "GetObjectAcl",
  "GetObjectVersionAcl",
  "GetObjectAttributes",
  "GetObjectVersionAttributes",
  "PutObjectAcl",
  "PutObjectVersionAcl",
]);

/** Listings: they concern the keys below a prefix, not one key. */
export const LISTINGS = named(["ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"]);

/** An administrator who locked himself out can always mend the policy. */
export const ON_POLICY = named(["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"]);
