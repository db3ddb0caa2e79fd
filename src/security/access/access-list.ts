import { canonicalUserId } from "./identity.ts";

/**
 * Access lists of buckets and objects. They are kept as text: grants parted by `;`, each a permission and whom it is given to: `owner`, `all`,
 * `signed`, `log`, or a canonical id; `none` is a list without grants. No list at all means that the owner has everything and nobody else anything.
 */

export const PERMISSIONS = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** A canonical id, or one of those that are always there. */
export type Grantee = "owner" | "all" | "signed" | "log" | (string & {});

export interface Grant {
  readonly permission: Permission;
  readonly grantee: Grantee;
}

export type AccessList = readonly Grant[];

export const MAX_GRANTS = 100;
const OWNER_ONLY: AccessList = [{ permission: "FULL_CONTROL", grantee: "owner" }];

export function writeAccessList(list: AccessList): string {
  return list.length === 0 ? "none" : list.map(({ permission, grantee }) => `${permission} ${grantee}`).join(";");
}

/** What cannot be understood grants nothing. */
export function readAccessList(text: string | undefined): AccessList {
  if (text === undefined) return OWNER_ONLY;
  if (text === "none") return [];
  return text.split(";").flatMap((grant): Grant[] => {
    const [permission, grantee] = grant.split(" ");
    const known = PERMISSIONS.find((one) => one === permission);
    return known === undefined || grantee === undefined || grantee === "" ? [] : [{ permission: known, grantee }];
  });
}

export function cannedAccessList(name: string, bucketOwner: string | undefined): AccessList | undefined {
  const owner: Grant = { permission: "FULL_CONTROL", grantee: "owner" };
  const ofBucket = (permission: Permission): AccessList =>
    bucketOwner === undefined ? [owner] : [owner, { permission, grantee: canonicalUserId(bucketOwner) }];
  switch (name) {
    case "private":
      return [owner];
    case "public-read":
      return [{ permission: "READ", grantee: "all" }, owner];
    case "public-read-write":
      return [{ permission: "READ", grantee: "all" }, { permission: "WRITE", grantee: "all" }, owner];
    case "authenticated-read":
      return [{ permission: "READ", grantee: "signed" }, owner];
    case "bucket-owner-read":
      return ofBucket("READ");
    case "bucket-owner-full-control":
      return ofBucket("FULL_CONTROL");
    default:
      return undefined;
  }
}

export function isOwnerOnly(list: AccessList): boolean {
  return list.length === 1 && list[0]?.grantee === "owner" && list[0].permission === "FULL_CONTROL";
}

export function isPublicList(list: AccessList): boolean {
  return list.some(({ grantee }) => grantee === "all" || grantee === "signed");
}

export interface Reader {
  readonly userId: string;
  readonly anonymous: boolean;
  /** Grants to everybody and to everybody who signs count for nothing. */
  readonly ignorePublic: boolean;
}

/** What the owner may is not asked here: it follows from owning. */
export function listAllows(
  list: AccessList,
  permission: Permission,
  { userId, anonymous, ignorePublic }: Reader,
): boolean {
  return list.some((grant) => {
    if (grant.permission !== permission && grant.permission !== "FULL_CONTROL") return false;
    if (grant.grantee === "all") return !ignorePublic;
    if (grant.grantee === "signed") return !ignorePublic && !anonymous;
    return !anonymous && grant.grantee === userId;
  });
}
