import type { z } from "zod";
import type { AccessKey } from "../../../coordinator/index.ts";
import { GfsError } from "../../../core/errors.ts";
import { hasRole, type Identity } from "../../../security/index.ts";
import type { createAccessKeyBody } from "../schemas.ts";
import { refused, type RequestAccess } from "./request-access.ts";
import type { Lister } from "./visible-listing.ts";

/** Keys that the caller administers: all that they open lies below paths of which it is the admin. And its own. */

export async function visibleKeys({ service, ctx, access }: Lister): Promise<readonly AccessKey[]> {
  const keys = await service.listAccessKeys(ctx);
  return keys.filter((key) => administers(access.identity, key) || key.id === access.identity.accessKeyId);
}

/** To who administers only a part, a key that there is not looks like one of others. */
export async function findVisibleKey(lister: Lister, id: string): Promise<AccessKey> {
  const { identity } = lister.access;
  const wanted = id === "self" ? identity.accessKeyId : id;
  const found = (await visibleKeys(lister)).find((key) => key.id === wanted);
  if (found !== undefined) return found;
  if (!hasRole(identity, "admin", "")) throw refused();
  throw new GfsError(
    "NotFound",
    id === "self"
      ? "The request came without an access key of the catalog; keys of the configuration are shown by `globalfs config show`."
      : "There is no such access key; `globalfs key list` names them.",
  );
}

function administers(identity: Identity, { grants }: Pick<AccessKey, "grants">): boolean {
  return grants.every(({ path }) => hasRole(identity, "admin", path));
}

/**
 * Nobody gives more than he has. A user's name opens what policies give to that user anywhere, so that who administers only a part makes keys for
 * himself and for users named after himself, which no policy of others means.
 */
export function checkNewKey({ identity }: RequestAccess, { user, grants }: z.infer<typeof createAccessKeyBody>): void {
  const bare = grants.map(({ path, role }) => ({ path: path.replace(/^\//, "").replace(/\/$/, ""), role }));
  if (!administers(identity, { grants: bare })) throw refused();
  if (hasRole(identity, "admin", "")) return;
  if (user === identity.user || user.startsWith(`${identity.user}+`)) return;
  throw new GfsError(
    "PermissionDenied",
    `Who administers a part of the tree makes keys for ${identity.user} and for users named after it, such as ${identity.user}+reports.`,
    { op: "rest.authorize" },
  );
}
