import { createCipheriv, createDecipheriv } from "node:crypto";
import { GfsError } from "../core/errors.ts";
import type { Random } from "../core/ports/random.ts";

/**
 * Keeps secrets in the catalog such that the catalog alone does not tell them: AES-256-GCM under a key that lies elsewhere. The label
 * belongs to the seal: what was sealed for one label cannot be opened for another.
 */
export interface SecretBox {
  /** Base64 of nonce, tag and ciphertext. */
  seal(secret: string, label: string): string;
  /** `DataCorrupt` when it was sealed under another key, for another label, or was changed since. */
  open(sealed: string, label: string): string;
}

export const SECRET_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function createSecretBox(key: Uint8Array, random: Random): SecretBox {
  if (key.byteLength !== SECRET_KEY_BYTES) {
    throw new GfsError("ConfigInvalid", `The key that seals secrets must have ${SECRET_KEY_BYTES} bytes.`);
  }
  const ownKey = Buffer.from(key);
  return {
    seal(secret, label) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", ownKey, nonce);
      cipher.setAAD(Buffer.from(label));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64");
    },
    open(sealed, label) {
      const bytes = Buffer.from(sealed, "base64");
      try {
        const decipher = createDecipheriv("aes-256-gcm", ownKey, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(Buffer.from(label));
        decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString(
          "utf8",
        );
      } catch (error) {
        throw new GfsError(
          "DataCorrupt",
          "A sealed secret cannot be opened: secret.key is not the one it was sealed under, or the row was changed. Bring back the file, or delete the access key and make another.",
          { op: "security.open", cause: error },
        );
      }
    },
  };
}
