import { createHash } from "node:crypto";
import { createChecksum } from "../core/checksums.ts";
import type { FileVersion } from "../namespace/index.ts";

/** What bytes on their way are held against: the SHA-256, or for versions that came in parts the checksum of all their bytes. */
export interface Proof {
  update(chunk: Uint8Array): void;
  /** The last call. */
  holds(): boolean;
}

/** Undefined when the catalog knows no checksum of the whole. */
export function createProof({ sha256, details }: FileVersion): Proof | undefined {
  if (sha256 !== undefined) {
    const hash = createHash("sha256");
    return { update: (chunk) => void hash.update(chunk), holds: () => hash.digest("hex") === sha256 };
  }
  const known = details?.checksum;
  if (known?.kind !== "full") return undefined;
  const sum = createChecksum(known.algorithm);
  return { update: (chunk) => sum.update(chunk), holds: () => sum.digest() === known.value };
}

/**
 * For reads, where it must cost next to nothing: a CRC where there is one. Undefined where the site keeps a SHA-256, which is looked at beneath,
 * or where nothing is known.
 */
export function createQuickProof({ sha256, details }: FileVersion): Proof | undefined {
  const known = details?.checksum;
  if (known?.kind !== "full") return undefined;
  if (known.algorithm !== "CRC32" && known.algorithm !== "CRC32C" && sha256 !== undefined) return undefined;
  const sum = createChecksum(known.algorithm);
  return { update: (chunk) => sum.update(chunk), holds: () => sum.digest() === known.value };
}
