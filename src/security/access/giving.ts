import { GfsError } from "../../core/errors.ts";
import { hasRole } from "./grants.ts";
import type { AccessGrant, AccessKey, Identity } from "./types.ts";

/** Keys that one key gives to others: nobody gives more than he has. */

/** Whether all that the key opens lies below paths of which the other is the admin. */
export function administers(identity: Identity, { grants }: Pick<AccessKey, "grants">): boolean {
  return grants.every(({ path }) => hasRole(identity, "admin", path));
}

/**
 * Throws `PermissionDenied`. A user's name opens what policies give to that user anywhere, so that who administers only a part makes keys for himself
 * and for users named after himself, whom no policy of others means.
 */
export function checkGiven(
  identity: Identity,
  { user, grants }: { readonly user: string; readonly grants: readonly AccessGrant[] },
): void {
  const bare = grants.map(({ path, role }) => ({ path: path.replace(/^\//, "").replace(/\/$/, ""), role }));
  if (!administers(identity, { grants: bare })) {
    throw new GfsError(
      "PermissionDenied",
      "Nobody gives more than he has: this key is not admin of every path that the new one would open.",
      { op: "access.give" },
    );
  }
  if (hasRole(identity, "admin", "")) return;
  if (user === identity.user || user.startsWith(`${identity.user}+`)) return;
  throw new GfsError(
    "PermissionDenied",
    `Who administers a part of the tree makes keys for ${identity.user} and for users named after it, such as ${identity.user}+reports.`,
    { op: "access.give" },
  );
}
