import { createHash } from "node:crypto";
import { createChecksum } from "../core/checksums.ts";
import { type ContentChecksum, type FileVersion, sumOfWhole } from "../namespace/index.ts";

/** What bytes on their way are held against: the SHA-256, or for versions that came in parts the checksum of all their bytes. */
export interface Proof {
  update(chunk: Uint8Array): void;
  /** The last call. */
  holds(): boolean;
}

/** Undefined when the catalog knows no checksum of the whole. */
export function createProof(version: FileVersion): Proof | undefined {
  const { sha256 } = version;
  if (sha256 !== undefined) {
    const hash = createHash("sha256");
    return { update: (chunk) => void hash.update(chunk), holds: () => hash.digest("hex") === sha256 };
  }
  const known = sumOfWhole(version);
  return known === undefined ? undefined : proofBy(known);
}

/** For reads, where it must cost next to nothing: a CRC where there is one. Undefined where no checksum of the whole is known. */
export function createQuickProof(version: FileVersion): Proof | undefined {
  const known = sumOfWhole(version);
  return known?.algorithm === "CRC32" || known?.algorithm === "CRC32C" ? proofBy(known) : createProof(version);
}

export function isProvable(version: FileVersion): boolean {
  return version.sha256 !== undefined || sumOfWhole(version) !== undefined;
}

function proofBy({ algorithm, value }: ContentChecksum): Proof {
  const sum = createChecksum(algorithm);
  return { update: (chunk) => sum.update(chunk), holds: () => sum.digest() === value };
}
