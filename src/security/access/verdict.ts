import { GfsError } from "../../core/errors.ts";
import { listAllows, type Permission, readAccessList } from "./access-list.ts";
import { LISTINGS, ON_CONTENT, ON_POLICY, READS_OBJECT } from "./actions.ts";
import { accessListOf, ownershipOf, policyOf, publicAccessBlockOf } from "./bucket-access.ts";
import type { Asker } from "./condition-keys.ts";
import { grantAllowing, hasRole, reachesInto } from "./grants.ts";
import type { Policy, Statement } from "./policy-document.ts";
import { isPublicPolicy, judge } from "./policy.ts";
import { listingOf, type Question } from "./question.ts";
import type { AccessBucket, AccessGrant, Identity } from "./types.ts";
import { coversListing } from "./visible.ts";

/** The answer to one question, in this order: a Deny of the policy, the key's own grants and what its user owns, an Allow of the policy, access lists. */

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: Reason;
}

/** What decided. */
export type Reason =
  | { readonly by: "grant"; readonly grant: AccessGrant }
  | { readonly by: "ownership"; readonly of: "bucket" | "object" }
  | { readonly by: "policy"; readonly statement: Statement }
  /** Nobody passes a policy that cannot be read. */
  | { readonly by: "unreadable-policy" }
  /** Whoever administers the bucket can always mend its policy. */
  | { readonly by: "policy-rescue" }
  | { readonly by: "access-list"; readonly of: "bucket" | "object" }
  | { readonly by: "nothing" };

const NOTHING: Verdict = { allowed: false, reason: { by: "nothing" } };

type Plain = Pick<Question, "action" | "bucket" | "key" | "path" | "listed" | "presence">;

/** By the key's grants and by what its user owns, without looking anything up. False: something else has to decide. */
export function holdsAlready(identity: Identity, question: Plain): boolean {
  if (identity.kind === "anonymous") return false;
  return grantFor(identity, question) !== undefined || owns(identity, question);
}

function grantFor({ grants }: Identity, { action, key, path, listed, presence }: Plain): AccessGrant | undefined {
  if (presence === true) return grants.find((grant) => grant.role !== "user" && reachesInto(grant.path, path));
  if (listed === undefined || key !== "" || !LISTINGS.has(action)) return grantAllowing(grants, action, path);
  return grants.find((grant) => coversListing(grant, listed));
}

function owns(identity: Identity, { action, bucket, path }: Plain): boolean {
  if (action === "s3:CreateBucket") return hasRole(identity, "user", path);
  return ownsFreely(identity, bucket, action, path);
}

/** As the owner of the bucket, where nobody else can own what the action is about. */
export function ownsFreely(
  identity: Identity,
  bucket: AccessBucket | undefined,
  action: string,
  path: string,
): boolean {
  if (bucket?.owner === undefined || bucket.owner !== identity.user) return false;
  return action.startsWith("s3:") && hasRole(identity, "user", path) && !mayBeAnothers(bucket, action);
}

/**
 * In a bucket that others can write to, what they wrote is theirs to open. A bucket that lets nobody in has no such objects, save from times
 * before; its owner could take those over by `BucketOwnerEnforced` anyway.
 */
function mayBeAnothers(bucket: AccessBucket, action: string): boolean {
  if (!ON_CONTENT.has(action)) return false;
  const { acl, policy } = bucket.documents;
  return (acl !== undefined || policy !== undefined) && ownershipOf(bucket) !== "BucketOwnerEnforced";
}

export async function verdictOn(asker: Asker, question: Question): Promise<Verdict> {
  const { identity } = asker;
  const { bucket, action } = question;
  const policy = bucket === undefined ? undefined : policyOf(bucket);
  if (policy === "unreadable") return rescued(identity, question) ?? refusal({ by: "unreadable-policy" });
  const statement = policy === undefined ? undefined : await judged(asker, { policy, question });
  if (statement?.effect === "Deny") return rescued(identity, question) ?? refusal({ by: "policy", statement });
  if (identity.kind !== "anonymous") {
    const grant = grantFor(identity, question);
    if (grant !== undefined) return { allowed: true, reason: { by: "grant", grant } };
    if (owns(identity, question)) return { allowed: true, reason: { by: "ownership", of: "bucket" } };
  }
  if (bucket === undefined) return NOTHING;
  const enforced = ownershipOf(bucket) === "BucketOwnerEnforced";
  if (!enforced && ON_CONTENT.has(action) && (await ownsObject(identity, question, bucket))) {
    return { allowed: true, reason: { by: "ownership", of: "object" } };
  }
  const block = publicAccessBlockOf(bucket);
  if (statement !== undefined && !(block.restrictPublicBuckets && isPublicPolicy(policy as Policy))) {
    return { allowed: true, reason: { by: "policy", statement } };
  }
  return enforced ? NOTHING : await listed(identity, { question, bucket, ignorePublic: block.ignorePublicAcls });
}

export async function permits(asker: Asker, question: Question): Promise<boolean> {
  return (await verdictOn(asker, question)).allowed;
}

/** Whether the policy says no, whoever may otherwise. */
export async function forbids(asker: Asker, question: Question): Promise<boolean> {
  const policy = question.bucket === undefined ? undefined : policyOf(question.bucket);
  if (policy === undefined) return false;
  return policy === "unreadable" || (await judged(asker, { policy, question }))?.effect === "Deny";
}

/**
 * Whether the request may go on. Whoever may list is told that an object is missing; to everybody else a missing object and a closed one look the
 * same.
 */
export async function maySettle(asker: Asker, question: Question): Promise<boolean> {
  const permitted = await permits(asker, question);
  if (question.key === "" || !READS_OBJECT.has(question.action)) return permitted;
  if (permitted && holdsAlready(asker.identity, question)) return true;
  if ((await question.object()) !== undefined) return permitted;
  return await permits(asker, listingOf(question));
}

export async function settle(asker: Asker, question: Question): Promise<void> {
  if (!(await maySettle(asker, question))) throw denied();
}

/** Says nothing of what is there. */
export function denied(): GfsError {
  return new GfsError("PermissionDenied", "Access Denied.", { op: "access" });
}

function refusal(reason: Reason): Verdict {
  return { allowed: false, reason };
}

/** Whoever administers the bucket's path is what an account's root is: the one who can mend a policy that shuts everybody out. */
function rescued(identity: Identity, { action, path }: Question): Verdict | undefined {
  return ON_POLICY.has(action) && hasRole(identity, "admin", path)
    ? { allowed: true, reason: { by: "policy-rescue" } }
    : undefined;
}

async function judged(
  asker: Asker,
  { policy, question }: { readonly policy: Policy; readonly question: Question },
): Promise<Statement | undefined> {
  const { action, bucketName, key, prefix, requestTags, versionId } = question;
  const object = policy.asksForExistingTags && key !== "" ? await question.object() : undefined;
  const existingTags = object?.tags;
  return judge(policy, {
    action,
    resource: key === "" ? bucketName : `${bucketName}/${key}`,
    facts: {
      ...asker,
      ...(existingTags === undefined ? {} : { existingTags }),
      ...(requestTags === undefined ? {} : { requestTags }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(versionId === undefined ? {} : { versionId }),
    },
  });
}

async function ownsObject(identity: Identity, question: Question, bucket: AccessBucket): Promise<boolean> {
  if (identity.kind === "anonymous" || bucket.owner === undefined || !hasRole(identity, "user", question.path))
    return false;
  const object = await question.object();
  if (object === undefined) return bucket.owner === identity.user;
  return (object.owner ?? bucket.owner) === identity.user;
}

interface Listed {
  readonly question: Question;
  readonly bucket: AccessBucket;
  readonly ignorePublic: boolean;
}

async function listed(identity: Identity, { question, bucket, ignorePublic }: Listed): Promise<Verdict> {
  const reader = { userId: identity.userId, anonymous: identity.kind === "anonymous", ignorePublic };
  const onBucket = bucketPermission(question.action);
  if (onBucket !== undefined) {
    const allowed = listAllows(accessListOf(bucket), onBucket, reader);
    return allowed ? { allowed, reason: { by: "access-list", of: "bucket" } } : NOTHING;
  }
  const onObject = objectPermission(question.action);
  const object = onObject === undefined ? undefined : await question.object();
  const allowed = object !== undefined && listAllows(readAccessList(object.accessList), onObject as Permission, reader);
  return allowed ? { allowed, reason: { by: "access-list", of: "object" } } : NOTHING;
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
