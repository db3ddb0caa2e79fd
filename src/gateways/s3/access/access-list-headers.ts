import type { IncomingHttpHeaders } from "node:http";
import type { Bucket } from "../../../coordinator/service/service.ts";
import { s3Error } from "../wire/errors.ts";
import {
  type AccessList,
  cannedAccessList,
  canonicalUserId,
  type Grant,
  type Grantee,
  isOwnerOnly,
  MAX_GRANTS,
  type Permission,
  writeAccessList,
} from "../../../security/index.ts";

/** Access lists as requests bring them in headers: a canned one, or grants one by one. */

const GRANT_HEADERS: readonly (readonly [string, Permission])[] = [
  ["x-amz-grant-read", "READ"],
  ["x-amz-grant-write", "WRITE"],
  ["x-amz-grant-read-acp", "READ_ACP"],
  ["x-amz-grant-write-acp", "WRITE_ACP"],
  ["x-amz-grant-full-control", "FULL_CONTROL"],
];

export const GROUP_URIS: ReadonlyMap<string, Grantee> = new Map([
  ["http://acs.amazonaws.com/groups/global/AllUsers", "all"],
  ["http://acs.amazonaws.com/groups/global/AuthenticatedUsers", "signed"],
  ["http://acs.amazonaws.com/groups/s3/LogDelivery", "log"],
]);

export function hasAccessListHeaders(headers: IncomingHttpHeaders): boolean {
  return headers["x-amz-acl"] !== undefined || GRANT_HEADERS.some(([name]) => headers[name] !== undefined);
}

/**
 * As it is kept with a new bucket or version; undefined when the request brings none, or one that says what holds anyway. `owner` will own what is
 * made. `authorize` has checked that the users are known and that the bucket takes such lists.
 */
export function accessListFromHeaders(
  headers: IncomingHttpHeaders,
  owner: string,
  bucket?: Bucket,
): string | undefined {
  const list = readAccessListHeaders(headers, owner, bucket);
  return list === undefined || isOwnerOnly(list) ? undefined : writeAccessList(list);
}

export function readAccessListHeaders(
  headers: IncomingHttpHeaders,
  owner: string | undefined,
  bucket: Bucket | undefined,
): AccessList | undefined {
  const canned = headers["x-amz-acl"];
  const grants = GRANT_HEADERS.flatMap(([name, permission]) => grantsOf(headers[name], permission, owner));
  if (canned === undefined) {
    if (grants.length > MAX_GRANTS) throw tooMany();
    return grants.length === 0 ? undefined : grants;
  }
  if (grants.length > 0) {
    throw s3Error("InvalidArgument", "InvalidRequest", "Name a canned access list or grants, not both.");
  }
  const list = typeof canned === "string" ? cannedAccessList(canned, bucket?.owner) : undefined;
  if (list === undefined) {
    if (canned === "aws-exec-read" || canned === "log-delivery-write") {
      throw s3Error(
        "Unsupported",
        "NotImplemented",
        `The canned access list ${canned} is for services that are not here.`,
      );
    }
    throw s3Error("InvalidArgument", "InvalidArgument", "There is no canned access list of that name.", {
      argumentName: "x-amz-acl",
    });
  }
  return withoutDoubleOwner(list, owner);
}

/** The owner of the bucket may be the one who writes. */
function withoutDoubleOwner(list: AccessList, owner: string | undefined): AccessList {
  if (owner === undefined) return list;
  const ownerId = canonicalUserId(owner);
  return list.filter(({ grantee }) => grantee !== ownerId);
}

const ONE_GRANTEE = /^\s*(id|uri|emailAddress)\s*=\s*(?:"([^"]*)"|([^",\s]+))\s*(?:,|$)/i;

function grantsOf(header: string | string[] | undefined, permission: Permission, owner: string | undefined): Grant[] {
  if (header === undefined) return [];
  let rest = Array.isArray(header) ? header.join(",") : header;
  const grants: Grant[] = [];
  while (rest.trim() !== "") {
    const found = ONE_GRANTEE.exec(rest);
    if (found === null || grants.length === MAX_GRANTS) {
      if (found !== null) throw tooMany();
      throw s3Error(
        "InvalidArgument",
        "InvalidArgument",
        'Write grantees as id="...", uri="..." or emailAddress="...".',
      );
    }
    const [whole, kind = "", quoted, bare] = found;
    grants.push({ permission, grantee: granteeOf(kind.toLowerCase(), quoted ?? bare ?? "", owner) });
    rest = rest.slice(whole.length);
  }
  return grants;
}

export function granteeOf(kind: string, value: string, owner: string | undefined): Grantee {
  if (kind === "emailaddress") {
    throw s3Error(
      "InvalidArgument",
      "UnresolvableGrantByEmailAddress",
      "Users have no mail addresses here; name them by their canonical id.",
    );
  }
  if (kind === "uri") {
    const group = GROUP_URIS.get(value);
    if (group === undefined) throw s3Error("InvalidArgument", "InvalidArgument", "There is no group of that address.");
    return group;
  }
  if (owner !== undefined && value === canonicalUserId(owner)) return "owner";
  if (!/^[0-9a-f]{64}$/.test(value)) throw unknownUser();
  return value;
}

export function unknownUser(): Error {
  return s3Error("InvalidArgument", "InvalidArgument", "The access list names a user who has no key here.", {
    argumentName: "CanonicalUser/ID",
  });
}

function tooMany(): Error {
  return s3Error("InvalidArgument", "InvalidArgument", `An access list has at most ${MAX_GRANTS} grants.`);
}
