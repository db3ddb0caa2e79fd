import { createHash, hash, randomBytes, timingSafeEqual } from "node:crypto";
import { GfsError } from "../../core/errors.ts";
import { canonicalUserId } from "./identity.ts";
import type { AccessGrant, Identity } from "./types.ts";

/** Keys that the configuration names: with them an operator begins. They are random and long, so one round of SHA-256 is enough to store them. */
export interface StoredKey {
  readonly name: string;
  /** `sha256:` and 64 hex digits. */
  readonly hash?: string;
  /** Instead of a key: one of the names in a client's certificate. */
  readonly certificate?: string;
  /** Absent: admin of everything. */
  readonly grants?: readonly AccessGrant[];
  readonly expiresMs?: number;
}

export interface Keyring {
  readonly isEmpty: boolean;
  /** By the SHA-256 of what was presented. Takes as long for any. */
  find(digest: Buffer): Identity | undefined;
  /** By the names of a certificate that has been verified: the first of them that is known decides. */
  findCertificate(names: readonly string[]): Identity | undefined;
}

const HASH = /^sha256:([0-9a-f]{64})$/i;
const EVERYTHING: readonly AccessGrant[] = [{ path: "", role: "admin" }];

/** Ids of keys in the catalog hold no colon. */
const CONFIG = "config:";

export function isConfigKey(accessKeyId: string): boolean {
  return accessKeyId.startsWith(CONFIG);
}

/** Its hex digits, as bytes to compare: for Node that is twice as fast as the bytes themselves. */
export function digestOf(token: string): Buffer {
  return Buffer.from(hash("sha256", token, "hex"), "latin1");
}

export function hashApiKey(key: string): string {
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

export function generateApiKey(): string {
  return `gfs_${randomBytes(24).toString("base64url")}`;
}

export function createKeyring(stored: readonly StoredKey[]): Keyring {
  const certificates = new Map<string, Identity>();
  const keys = stored.flatMap(({ name, hash: hashed, certificate, grants = EVERYTHING, expiresMs }) => {
    const match = HASH.exec(hashed ?? "");
    if (match === null && hashed !== undefined) {
      throw new GfsError(
        "ConfigInvalid",
        `The hash of API key ${name} must be sha256: and 64 hex digits; \`globalfs key hash\` makes one.`,
      );
    }
    const identity: Identity = {
      kind: "user",
      user: name,
      userId: canonicalUserId(name),
      accessKeyId: `${CONFIG}${name}`,
      grants,
      ...(expiresMs === undefined ? {} : { expiresMs }),
    };
    if (certificate !== undefined) certificates.set(certificate, identity);
    return match === null ? [] : [{ digest: Buffer.from((match[1] as string).toLowerCase(), "latin1"), identity }];
  });
  return {
    isEmpty: keys.length === 0 && certificates.size === 0,
    findCertificate(names) {
      const known = names.find((name) => certificates.has(name));
      return known === undefined ? undefined : certificates.get(known);
    },
    find(digest) {
      let found: Identity | undefined;
      // Every key is compared, so that time tells neither which one it was nor how many there are before it.
      for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key.identity;
      return found;
    },
  };
}
