import type { AccessKey } from "@globalfs/client";

/** How keys look in words. */

export function shownGrants({ grants }: Pick<AccessKey, "grants">): string {
  return grants.map(({ path, role }) => `${role} of /${path}`).join(", ");
}

export function shownEnd({ expiresAt }: Pick<AccessKey, "expiresAt">): string {
  return expiresAt?.toISOString() ?? "never";
}
