import { createHash } from "node:crypto";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import type { Identity } from "../request.ts";

/** S3's canonical id of a user: made of the name alone, so that every process knows it. */
export function canonicalUserId(name: string): string {
  return createHash("sha256").update(`globalfs-user:${name}`).digest("hex");
}

export const ANONYMOUS: Identity = { kind: "anonymous", user: "", userId: "", accessKeyId: "", grants: [] };

const identities = new WeakMap<KnownAccessKey, Identity>();

export function identityOf(key: KnownAccessKey): Identity {
  const known = identities.get(key);
  if (known !== undefined) return known;
  const identity: Identity = {
    kind: "user",
    user: key.user,
    userId: canonicalUserId(key.user),
    accessKeyId: key.id,
    grants: key.grants,
  };
  identities.set(key, identity);
  return identity;
}
