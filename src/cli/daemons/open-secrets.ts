import type { Random } from "../../core/ports/random.ts";
import { createSecretBox, openSecretBox, SECRET_KEY_BYTES, type SecretBox } from "../../security/index.ts";
import type { Config } from "../config/index.ts";

/** The key lies beside the catalog; a catalog that ends with the process needs none that outlives it. */
export async function openSecrets({ coordinator }: Config, random: Random): Promise<SecretBox> {
  if (coordinator.kv.engine === "memory") return createSecretBox(random.bytes(SECRET_KEY_BYTES), random);
  return await openSecretBox(coordinator.dataDirectory, random);
}
