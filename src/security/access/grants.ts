import { READER_ACTIONS, WRITER_ACTIONS } from "./actions.ts";
import type { AccessGrant, AccessRole, Identity } from "./types.ts";

/** What an access key may do by its own grants, whatever buckets say. */

/** Whether the path is the grant's path or lies below it. */
export function covers(grantPath: string, path: string): boolean {
  if (grantPath === "") return true;
  if (!path.startsWith(grantPath)) return false;
  return path.length === grantPath.length || grantPath.endsWith("/") || path.charCodeAt(grantPath.length) === 0x2f;
}

/** Whether some key below the bucket, or the bucket itself, may be covered: enough to be told that the bucket is there. */
export function reachesInto(grantPath: string, bucketPath: string): boolean {
  return covers(grantPath, bucketPath) || bucketPath === "" || covers(bucketPath, grantPath);
}

function roleAllows(role: AccessRole, action: string): boolean {
  switch (role) {
    case "admin":
      return true;
    case "writer":
      return WRITER_ACTIONS.has(action);
    case "reader":
      return READER_ACTIONS.has(action);
    case "user":
      return false;
  }
}

/** By the roles reader, writer and admin. Undefined: none does. */
export function grantAllowing(grants: readonly AccessGrant[], action: string, path: string): AccessGrant | undefined {
  for (const grant of grants) {
    if (roleAllows(grant.role, action) && covers(grant.path, path)) return grant;
  }
  return undefined;
}

export function hasRole(identity: Identity, role: AccessRole, path: string): boolean {
  for (const grant of identity.grants) {
    if (grant.role === role && covers(grant.path, path)) return true;
  }
  return false;
}
