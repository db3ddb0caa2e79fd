import { createHash } from "node:crypto";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import type { Identity, Proof } from "../wire/request.ts";

/** S3's canonical id of a user: made of the name alone, so that every process knows it. */
export function canonicalUserId(name: string): string {
  return createHash("sha256").update(`globalfs-user:${name}`).digest("hex");
}

export const ANONYMOUS: Identity = { kind: "anonymous", user: "", userId: "", accessKeyId: "", grants: [] };

/** Of the few ways there are to sign with a key. */
const identities = new WeakMap<KnownAccessKey, Map<string, Identity>>();

export function identityOf(key: KnownAccessKey, proof: Proof): Identity {
  const name = `${proof.version} ${proof.place}`;
  const known = identities.get(key);
  const found = known?.get(name);
  if (found !== undefined) return found;
  const identity: Identity = {
    kind: "user",
    user: key.user,
    userId: canonicalUserId(key.user),
    accessKeyId: key.id,
    grants: key.grants,
    proof,
  };
  if (known === undefined) identities.set(key, new Map([[name, identity]]));
  else known.set(name, identity);
  return identity;
}
