import type { AccessKey } from "../../../coordinator/index.ts";
import { GfsError } from "../../../core/errors.ts";
import { administers, hasRole } from "../../../security/index.ts";
import { refused } from "./request-access.ts";
import type { Lister } from "./visible-listing.ts";

/** Keys that the caller administers: all that they open lies below paths of which it is the admin. And its own. */

export async function visibleKeys({ service, ctx, access }: Lister): Promise<readonly AccessKey[]> {
  const keys = await service.listAccessKeys(ctx);
  return keys.filter((key) => administers(access.identity, key) || key.id === access.identity.accessKeyId);
}

/** To who administers only a part, a key that there is not looks like one of others. */
export async function findVisibleKey({ service, access }: Lister, id: string): Promise<AccessKey> {
  const { identity } = access;
  const wanted = id === "self" ? identity.accessKeyId : id;
  const found = await service.findAccessKey(wanted);
  if (found !== undefined && (found.id === identity.accessKeyId || administers(identity, found))) return found;
  if (!hasRole(identity, "admin", "")) throw refused();
  throw new GfsError(
    "NotFound",
    id === "self"
      ? "The request came without an access key of the catalog; keys of the configuration are shown by `globalfs config show`."
      : "There is no such access key; `globalfs key list` names them.",
  );
}
