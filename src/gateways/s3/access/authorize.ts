import type { IncomingHttpHeaders } from "node:http";
import type { Bucket } from "../../../coordinator/service/service.ts";
import {
  type AccessBucket,
  type Asker,
  actionOnVersion,
  denied,
  forbids,
  grantAllowing,
  holdsAlready,
  type Identity,
  LISTINGS,
  ownsFreely,
  policyOf,
  type Question,
  reachesInto,
  settle,
  splitAtBucket,
} from "../../../security/index.ts";
import { parseCopySource } from "../objects/copy-source.ts";
import { s3Error } from "../wire/errors.ts";
import type { Operation, S3Deps, S3Request, S3Settings } from "../wire/request.ts";
import { checkAccessListHeaders } from "./access-list-check.ts";
import { hasAccessListHeaders } from "./access-list-headers.ts";
import { askBucket, askerOf, askObject } from "./question.ts";

/** Also asked before sites are: strangers are neither told what there is, nor can they make sites search for it. */
export function refuseUnsigned(identity: Identity, { settings }: Pick<S3Deps, "settings">): void {
  if (identity.kind === "anonymous" && !settings.allowAnonymous) throw denied();
}

/**
 * Whether the request may be carried out. Throws `PermissionDenied`, which is AccessDenied to S3 and says nothing of what is there. Synchronous and
 * without looking anything up for those whose grants or buckets decide, unless the bucket has a policy.
 */
export function authorize(request: S3Request, operation: Operation, deps: S3Deps): void | Promise<void> {
  const { identity, http } = request;
  refuseUnsigned(identity, deps);
  if (DECIDED_LATER.has(operation.name)) return undefined;
  if (operation.action === "s3:ListAllMyBuckets") return undefined;
  const bucket = holderOf(request, deps);
  if (
    !(bucket instanceof Promise) &&
    bucket?.documents["policy"] === undefined &&
    holdsUsually(request, operation, deps)
  ) {
    if (!BRINGS_MORE.has(operation.name) || !bringsMore(http.headers)) return undefined;
  }
  return authorizeAll(request, operation, deps);
}

/** The bucket whose policy has a word to say: where one bucket is the whole tree, that of the directory at the top. */
function holderOf(
  { settings, key, path, query }: S3Request,
  { service, settings: { rootBucket } }: S3Deps,
): AccessBucket | undefined | Promise<AccessBucket | undefined> {
  if (rootBucket === undefined) return settings;
  const { bucketName } = splitAtBucket(key === "" ? (query.get("prefix") ?? "") : path);
  return bucketName === "" ? undefined : service.storedBucket(bucketName);
}

/** `authorizeKey` is asked for every key of a batch. */
const DECIDED_LATER: ReadonlySet<string> = new Set(["DeleteObjects"]);

const BRINGS_MORE: ReadonlySet<string> = new Set([
  "PutObject",
  "CopyObject",
  "UploadPartCopy",
  "CreateMultipartUpload",
  "CreateBucket",
  "PutBucketAcl",
  "PutObjectAcl",
  "DeleteObject",
  "PutObjectRetention",
]);

export const BYPASS_HEADER = "x-amz-bypass-governance-retention";

function bringsMore(headers: IncomingHttpHeaders): boolean {
  return (
    headers["x-amz-copy-source"] !== undefined ||
    headers["x-amz-tagging"] !== undefined ||
    headers["x-amz-object-lock-mode"] !== undefined ||
    headers["x-amz-object-lock-legal-hold"] !== undefined ||
    headers[BYPASS_HEADER] !== undefined ||
    hasAccessListHeaders(headers)
  );
}

/** The answer to the same question as `questionOf` asks, where grants or owning decide. Nothing is made on the way for a key. */
function holdsUsually(request: S3Request, operation: Operation, deps: S3Deps): boolean {
  const { identity, settings, key, query } = request;
  if (identity.kind === "anonymous") return false;
  if (key !== "") {
    const action = query.size === 0 ? operation.action : actionOnVersion(operation.action, query.get("versionId"));
    return (
      grantAllowing(identity.grants, action, request.path) !== undefined ||
      ownsFreely(identity, settings, action, request.path)
    );
  }
  const question = questionOfBucket(request, operation, deps);
  return !(question instanceof Promise) && holdsAlready(identity, question);
}

const PRESENCE: ReadonlySet<string> = new Set(["HeadBucket", "GetBucketLocation"]);

function questionOf(request: S3Request, operation: Operation, deps: S3Deps): Question | Promise<Question> {
  const { bucket: bucketName, settings: bucket, key, query } = request;
  if (key === "") return questionOfBucket(request, operation, deps);
  const { action } = operation;
  return askObject(request, deps, { action, bucketName, bucket, key, versionId: query.get("versionId") });
}

function questionOfBucket(request: S3Request, { name, action }: Operation, deps: S3Deps): Question | Promise<Question> {
  const { bucket: bucketName, settings, query } = request;
  const presence = PRESENCE.has(name);
  const isListing = LISTINGS.has(action) && !presence;
  return askBucket(deps, {
    action,
    bucketName,
    // Whose the name is already is none of the question whether one may make it.
    bucket: name === "CreateBucket" ? undefined : settings,
    presence,
    isListing,
    prefix: isListing ? query.get("prefix") : undefined,
  });
}

async function authorizeAll(request: S3Request, operation: Operation, deps: S3Deps): Promise<void> {
  const question = await questionOf(request, operation, deps);
  // The tags of a body are known only to the operation, which asks again with them; until then everything but they decides.
  if (operation.name === "PutObjectTagging" && waitsForTags(question)) return;
  const asker = askerOf(request, deps);
  await settle(asker, question);
  if (operation.name === "GetObjectAttributes") await settle(asker, { ...question, action: "s3:GetObject" });
  if (BRINGS_MORE.has(operation.name)) await settleMore(request, operation, { deps, question });
}

function waitsForTags({ bucket }: Question): boolean {
  const policy = bucket === undefined ? undefined : policyOf(bucket);
  return policy !== undefined && policy !== "unreadable" && policy.asksForRequestTags;
}

/** The tags that the body brought, for policies that ask about them. Nothing is asked a second time where none does. */
export async function authorizeTags(
  request: S3Request,
  deps: S3Deps,
  requestTags: Readonly<Record<string, string>>,
): Promise<void> {
  const { bucket: bucketName, settings: bucket, key, query } = request;
  const action = "s3:PutObjectTagging";
  const question = await askObject(request, deps, {
    action,
    bucketName,
    bucket,
    key,
    versionId: query.get("versionId"),
    requestTags,
  });
  if (waitsForTags(question)) await settle(askerOf(request, deps), question);
}

export interface KeyInBody {
  /** Such as `s3:DeleteObject`; of a version, when one is named. */
  readonly action: string;
  readonly key: string;
  readonly versionId?: string | undefined;
  /** Those that a form brings. */
  readonly requestTags?: Readonly<Record<string, string>> | undefined;
}

/** For keys that the body names: each of a batch of deletes, and that of a form. */
export function authorizeKey(request: S3Request, about: KeyInBody, deps: S3Deps): void | Promise<void> {
  const { identity, bucket: bucketName, settings: bucket } = request;
  refuseUnsigned(identity, deps);
  const question = askObject(request, deps, { ...about, bucketName, bucket });
  const bypasses = about.versionId !== undefined && asksBypass(request);
  if (!bypasses && !(question instanceof Promise) && question.bucket?.documents["policy"] === undefined) {
    if (holdsAlready(identity, question)) return undefined;
  }
  return settleKey(request, deps, { question, bypasses });
}

async function settleKey(
  request: S3Request,
  deps: S3Deps,
  asked: { readonly question: Question | Promise<Question>; readonly bypasses: boolean },
): Promise<void> {
  const question = await asked.question;
  const asker = askerOf(request, deps);
  await settle(asker, question);
  if (asked.bypasses) await settle(asker, { ...question, action: "s3:BypassGovernanceRetention" });
  if (question.requestTags !== undefined) await respectDeny(asker, { ...question, action: "s3:PutObjectTagging" });
}

/** Some clients write `True`. */
export function asksBypass({ http }: S3Request): boolean {
  return String(http.headers[BYPASS_HEADER]).toLowerCase() === "true";
}

/** Whoever may write an object may say what it carries from the beginning; only a policy that forbids that by name is in the way. */
async function respectDeny(asker: Asker, question: Question): Promise<void> {
  if (await forbids(asker, question)) throw denied();
}

/** What the headers ask for beside the operation itself. */
async function settleMore(
  request: S3Request,
  operation: Operation,
  { deps, question }: { readonly deps: S3Deps; readonly question: Question },
): Promise<void> {
  const { headers } = request.http;
  if (hasAccessListHeaders(headers)) await checkAccessListHeaders(request, operation, deps);
  if (operation.name === "CreateBucket") return;
  const asker = askerOf(request, deps);
  const unless = async (action: string): Promise<void> => await respectDeny(asker, { ...question, action });
  if (question.key !== "" && hasAccessListHeaders(headers)) await unless("s3:PutObjectAcl");
  if (headers["x-amz-tagging"] !== undefined) await unless("s3:PutObjectTagging");
  const also = async (action: string): Promise<void> => await settle(asker, { ...question, action });
  if (headers["x-amz-object-lock-mode"] !== undefined) await also("s3:PutObjectRetention");
  if (headers["x-amz-object-lock-legal-hold"] !== undefined) await also("s3:PutObjectLegalHold");
  const bypasses = operation.name === "PutObjectRetention" || request.query.has("versionId");
  if (bypasses && asksBypass(request)) await also("s3:BypassGovernanceRetention");
  if (operation.name === "CopyObject" || operation.name === "UploadPartCopy") await settleSource(request, deps);
}

async function settleSource(request: S3Request, deps: S3Deps): Promise<void> {
  const header = request.http.headers["x-amz-copy-source"];
  if (header === undefined) return;
  const source = parseCopySource(header);
  const bucket = await bucketNamed(request, deps, source.bucket);
  if (bucket === undefined)
    throw s3Error("NotFound", "NoSuchBucket", "The bucket that is to be copied from does not exist.");
  const { key, versionId } = source;
  await settle(
    askerOf(request, deps),
    await askObject(request, deps, { action: "s3:GetObject", bucketName: source.bucket, bucket, key, versionId }),
  );
}

async function bucketNamed(
  request: S3Request,
  { service, settings }: S3Deps,
  name: string,
): Promise<Bucket | undefined> {
  if (name === request.bucket) return request.settings;
  if (settings.rootBucket !== undefined) return undefined;
  return service.peekBucket(name) ?? (await service.findBucket(request.ctx, name));
}

/** Whether a listing of all buckets shows this one: those one owns, and those that one's grants reach. */
export function seesBucket(identity: Identity, bucket: Bucket, settings: Pick<S3Settings, "rootBucket">): boolean {
  if (identity.kind === "anonymous") return false;
  const path = settings.rootBucket === undefined ? bucket.name : "";
  return identity.grants.some((grant) =>
    grant.role === "user" ? bucket.owner === identity.user : reachesInto(grant.path, path),
  );
}
