import { GfsError } from "../../../core/errors.ts";
import { s3Error } from "../wire/errors.ts";
import type { Operation, S3Deps, S3Request } from "../wire/request.ts";
import {
  type AccessList,
  canonicalUserId,
  isOwnerOnly,
  isPublicList,
  ownershipOf,
  publicAccessBlockOf,
} from "../../../security/index.ts";
import { readAccessListHeaders, unknownUser } from "./access-list-headers.ts";
import { knownUsers } from "./users.ts";

/** Whether the bucket takes a list that somebody brings, and everybody it names is known. */

export async function checkAccessListHeaders(request: S3Request, operation: Operation, deps: S3Deps): Promise<void> {
  const { settings, identity, http } = request;
  const ofNewBucket = operation.name === "CreateBucket";
  const bucket = ofNewBucket ? undefined : settings;
  const list = readAccessListHeaders(http.headers, identity.kind === "user" ? identity.user : undefined, bucket);
  if (list === undefined) return;
  if (bucket !== undefined) refuseWhereDisabled(request, operation.name.endsWith("Acl"));
  await checkAccessList(request, deps, { list, checksBlock: !ofNewBucket });
}

/** With BucketOwnerEnforced, only a list that says what holds anyway passes, and only along with an object. */
export function refuseWhereDisabled({ settings, http }: S3Request, putsList: boolean): void {
  if (settings === undefined || ownershipOf(settings) !== "BucketOwnerEnforced") return;
  if (!putsList && http.headers["x-amz-acl"] === "bucket-owner-full-control") return;
  throw s3Error(
    "InvalidArgument",
    "AccessControlListNotSupported",
    "The bucket does not allow access lists: its objects all belong to its owner.",
  );
}

export async function checkAccessList(
  { ctx, settings, identity }: S3Request,
  deps: S3Deps,
  { list, checksBlock }: { readonly list: AccessList; readonly checksBlock: boolean },
): Promise<void> {
  if (checksBlock && settings !== undefined && publicAccessBlockOf(settings).blockPublicAcls && isPublicList(list)) {
    throw new GfsError("PermissionDenied", "Public access lists are blocked in this bucket.", { op: "s3.authorize" });
  }
  if (isOwnerOnly(list)) return;
  const named = list.filter(({ grantee }) => grantee.length === 64).map(({ grantee }) => grantee);
  const near = new Set([identity.userId, ...(settings?.owner === undefined ? [] : [canonicalUserId(settings.owner)])]);
  if (named.every((id) => near.has(id))) return;
  const known = await knownUsers(ctx, deps);
  if (!named.every((id) => near.has(id) || known.has(id))) throw unknownUser();
}
