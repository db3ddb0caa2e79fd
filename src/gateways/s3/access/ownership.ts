import type { IncomingHttpHeaders } from "node:http";
import type { S3Request } from "../wire/request.ts";
import { s3Error } from "../wire/errors.ts";
import { accessListOf, isOwnerOnly, OWNERSHIPS, ownerOfNew, readAccessList } from "../../../security/index.ts";
import { accessListFromHeaders } from "./access-list-headers.ts";

/** Who owns what is written into a bucket, and whether lists count there. */

/** Of the object that this request writes; undefined for those of anonymous writers and of buckets that nobody owns. */
export function ownerOfNewObject(request: S3Request): string | undefined {
  const { settings, identity, http } = request;
  return ownerOfNew(identity, settings, { handsOver: http.headers["x-amz-acl"] === "bucket-owner-full-control" });
}

/** What a new bucket keeps of the headers of its creation; `owner` will own it. */
export function newBucketDocuments(headers: IncomingHttpHeaders, owner: string): Readonly<Record<string, string>> {
  const ownership = headers["x-amz-object-ownership"];
  const list = accessListFromHeaders(headers, owner);
  const documents: Record<string, string> = {};
  if (ownership !== undefined) {
    if (!OWNERSHIPS.some((one) => one === ownership)) {
      throw s3Error("InvalidArgument", "InvalidArgument", `x-amz-object-ownership is one of ${OWNERSHIPS.join(", ")}.`);
    }
    documents.ownership = ownership as string;
    if (ownership === "BucketOwnerEnforced" && list !== undefined) throw conflictingList();
  }
  if (list !== undefined) documents.acl = list;
  return documents;
}

export function refuseListWithEnforcement(settings: NonNullable<S3Request["settings"]>): void {
  if (!isOwnerOnly(readAccessList(settings.documents.acl)) && accessListOf(settings).length > 0)
    throw conflictingList();
}

function conflictingList(): Error {
  return s3Error(
    "InvalidArgument",
    "InvalidBucketAclWithObjectOwnership",
    "A bucket with BucketOwnerEnforced has no access list that lets in others; make the list private first.",
  );
}
