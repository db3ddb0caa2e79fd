import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { GfsError } from "../core/errors.ts";

/** API keys are random and long, so one round of SHA-256 is enough to store them; the key itself is nowhere. */
export interface StoredKey {
  readonly name: string;
  /** `sha256:` and 64 hex digits. */
  readonly hash: string;
}

export interface Keyring {
  readonly isEmpty: boolean;
  /** The name of the key; undefined when it is none of ours. Takes as long for any key. */
  verify(presented: string): string | undefined;
}

const HASH = /^sha256:([0-9a-f]{64})$/i;

export function hashApiKey(key: string): string {
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

export function generateApiKey(): string {
  return `gfs_${randomBytes(24).toString("base64url")}`;
}

export function createKeyring(stored: readonly StoredKey[]): Keyring {
  const keys = stored.map(({ name, hash }) => {
    const match = HASH.exec(hash);
    if (match === null) {
      throw new GfsError(
        "ConfigInvalid",
        `The hash of API key ${name} must be sha256: and 64 hex digits; \`globalfs key hash\` makes one.`,
      );
    }
    return { name, digest: Buffer.from(match[1] as string, "hex") };
  });
  return {
    isEmpty: keys.length === 0,
    verify(presented) {
      const digest = createHash("sha256").update(presented).digest();
      let found: string | undefined;
      // Every key is compared, so that time tells neither which one it was nor how many there are before it.
      for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key.name;
      return found;
    },
  };
}
