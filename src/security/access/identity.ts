import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { AccessKey, Identity, KnownAccessKey, Proof } from "./types.ts";

const MAX_REMEMBERED = 1_024;
const remembered = new LRUCache<string, string>({ max: MAX_REMEMBERED });

/** Users as access lists and policies name them: S3's canonical id, made of the name alone, so that every process knows it. */
export function canonicalUserId(name: string): string {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const id = createHash("sha256").update(`globalfs-user:${name}`).digest("hex");
  remembered.set(name, id);
  return id;
}

export const ANONYMOUS: Identity = { kind: "anonymous", user: "", userId: "", accessKeyId: "", grants: [] };

/** Whoever reaches a coordinator that asks for no keys. */
export const OPERATOR: Identity = {
  kind: "user",
  user: "",
  userId: "",
  accessKeyId: "",
  grants: [{ path: "", role: "admin" }],
};

/** As the key stands in the catalog, without anybody having proved it. */
export function identityOfKey({ id, user, grants, expiresMs }: AccessKey): Identity {
  return {
    kind: "user",
    user,
    userId: canonicalUserId(user),
    accessKeyId: id,
    grants,
    ...(expiresMs === undefined ? {} : { expiresMs }),
  };
}

/** Of the few ways there are to prove a key. */
const identities = new WeakMap<KnownAccessKey, Map<string, Identity>>();

/** `proof` is absent for a token. The same object comes back for the same key and way. */
export function identityOf(key: KnownAccessKey, proof?: Proof): Identity {
  const way = proof === undefined ? "" : `${proof.version} ${proof.place}`;
  const known = identities.get(key);
  const found = known?.get(way);
  if (found !== undefined) return found;
  const identity: Identity = { ...identityOfKey(key), ...(proof === undefined ? {} : { proof }) };
  if (known === undefined) identities.set(key, new Map([[way, identity]]));
  else known.set(way, identity);
  return identity;
}
