import type { Bucket } from "../../../coordinator/service.ts";
import { pathIn } from "../buckets/key-space.ts";
import type { Identity, S3Deps, S3Request } from "../wire/request.ts";
import { listAllows, type Permission, readAccessList } from "./access-list.ts";
import { LISTINGS, ON_CONTENT, ON_POLICY } from "./actions.ts";
import { accessListOf, ownershipOf, policyOf, publicAccessBlockOf } from "./bucket-access.ts";
import { covers, grantsAllow, hasRole, reachesInto } from "./grants.ts";
import type { Policy } from "./policy-document.ts";
import { isPublicPolicy, judge } from "./policy.ts";
import type { Question } from "./question.ts";

/** The answer to one question, in this order: a Deny of the policy, the key's own grants and what its user owns, an Allow of the policy, access lists. */

/** By the key's grants and by what its user owns, without looking anything up. False: something else has to decide. */
export function holdsAlready(
  identity: Identity,
  deps: S3Deps,
  {
    action,
    bucketName,
    bucket,
    key,
    path,
    prefix,
    presence,
  }: Pick<Question, "action" | "bucketName" | "bucket" | "key" | "path" | "prefix" | "presence">,
): boolean {
  if (identity.kind === "anonymous") return false;
  if (presence === true) {
    if (identity.grants.some((grant) => grant.role !== "user" && reachesInto(grant.path, path))) return true;
  } else if (LISTINGS.has(action) && key === "") {
    const listed = pathIn(deps.settings, bucketName, prefix ?? "");
    // A prefix that ends where the grant's path does would also list the neighbours whose names begin so.
    if (
      identity.grants.some(
        (grant) =>
          grant.role !== "user" &&
          covers(grant.path, listed) &&
          (grant.path === "" || listed.length > grant.path.length),
      )
    )
      return true;
  } else if (grantsAllow(identity.grants, action, path)) return true;
  if (action === "s3:CreateBucket") return hasRole(identity, "user", path);
  return ownsFreely(identity, bucket, action, path);
}

/** As the owner of the bucket, where nobody else can own what the action is about. */
export function ownsFreely(identity: Identity, bucket: Bucket | undefined, action: string, path: string): boolean {
  if (bucket?.owner === undefined || bucket.owner !== identity.user) return false;
  return hasRole(identity, "user", path) && !mayBeAnothers(bucket, action);
}

/**
 * In a bucket that others can write to, what they wrote is theirs to open. A bucket that lets nobody in has no such objects, save from times
 * before; its owner could take those over by `BucketOwnerEnforced` anyway.
 */
function mayBeAnothers(bucket: Bucket, action: string): boolean {
  if (!ON_CONTENT.has(action)) return false;
  const { acl, policy } = bucket.documents;
  return (acl !== undefined || policy !== undefined) && ownershipOf(bucket) !== "BucketOwnerEnforced";
}

export async function permits(request: S3Request, deps: S3Deps, question: Question): Promise<boolean> {
  const { identity } = request;
  const { bucket, action } = question;
  const policy = bucket === undefined ? undefined : policyOf(bucket);
  if (policy === "unreadable") return isRescue(identity, question);
  const verdict = policy === undefined ? "silent" : await judged(request, deps, { policy, question });
  if (verdict === "deny") return isRescue(identity, question);
  if (holdsAlready(identity, deps, question)) return true;
  if (bucket === undefined) return false;
  const enforced = ownershipOf(bucket) === "BucketOwnerEnforced";
  if (!enforced && ON_CONTENT.has(action) && (await ownsObject(identity, question, bucket))) return true;
  const block = publicAccessBlockOf(bucket);
  if (verdict === "allow" && !(block.restrictPublicBuckets && isPublicPolicy(policy as Policy))) return true;
  if (enforced) return false;
  const reader = {
    userId: identity.userId,
    anonymous: identity.kind === "anonymous",
    ignorePublic: block.ignorePublicAcls,
  };
  const onBucket = bucketPermission(action);
  if (onBucket !== undefined) return listAllows(accessListOf(bucket), onBucket, reader);
  const onObject = objectPermission(action);
  if (onObject === undefined) return false;
  const meta = await question.meta();
  return meta !== undefined && listAllows(readAccessList(meta.details?.labels?.accessList), onObject, reader);
}

/** Whether the policy says no, whoever may otherwise. */
export async function forbids(request: S3Request, deps: S3Deps, question: Question): Promise<boolean> {
  const policy = question.bucket === undefined ? undefined : policyOf(question.bucket);
  if (policy === undefined) return false;
  return policy === "unreadable" || (await judged(request, deps, { policy, question })) === "deny";
}

/** Whoever administers the bucket's path is what an account's root is: the one who can mend a policy that shuts everybody out. */
function isRescue(identity: Identity, { action, path }: Question): boolean {
  return ON_POLICY.has(action) && hasRole(identity, "admin", path);
}

async function judged(
  request: S3Request,
  { clock }: S3Deps,
  { policy, question }: { readonly policy: Policy; readonly question: Question },
): Promise<"allow" | "deny" | "silent"> {
  const { action, bucketName, key, prefix, requestTags, versionId } = question;
  const meta = policy.asksForExistingTags && key !== "" ? await question.meta() : undefined;
  const existingTags = meta?.details?.labels?.tags;
  return judge(policy, {
    action,
    resource: key === "" ? bucketName : `${bucketName}/${key}`,
    facts: {
      request,
      clock,
      ...(existingTags === undefined ? {} : { existingTags }),
      ...(requestTags === undefined ? {} : { requestTags }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(versionId === undefined ? {} : { versionId }),
    },
  });
}

async function ownsObject(identity: Identity, question: Question, bucket: Bucket): Promise<boolean> {
  if (identity.kind === "anonymous" || bucket.owner === undefined || !hasRole(identity, "user", question.path))
    return false;
  const meta = await question.meta();
  if (meta === undefined) return bucket.owner === identity.user;
  return (meta.details?.owner ?? bucket.owner) === identity.user;
}

function bucketPermission(action: string): Permission | undefined {
  switch (action) {
    case "s3:ListBucket":
    case "s3:ListBucketVersions":
    case "s3:ListBucketMultipartUploads":
      return "READ";
    case "s3:PutObject":
    case "s3:DeleteObject":
    case "s3:AbortMultipartUpload":
    case "s3:ListMultipartUploadParts":
      return "WRITE";
    case "s3:GetBucketAcl":
      return "READ_ACP";
    case "s3:PutBucketAcl":
      return "WRITE_ACP";
    default:
      return undefined;
  }
}

function objectPermission(action: string): Permission | undefined {
  switch (action) {
    case "s3:GetObject":
    case "s3:GetObjectVersion":
    case "s3:GetObjectAttributes":
    case "s3:GetObjectVersionAttributes":
      return "READ";
    case "s3:GetObjectAcl":
    case "s3:GetObjectVersionAcl":
      return "READ_ACP";
    case "s3:PutObjectAcl":
    case "s3:PutObjectVersionAcl":
      return "WRITE_ACP";
    default:
      return undefined;
  }
}
