import { createHash } from "node:crypto";
import { crc32, crc32c } from "@node-rs/crc32";
import { Crc64Nvme } from "./crc64-nvme.ts";
import { combineCrcs } from "./crc-combine.ts";

/** The checksums that S3 clients may ask for, behind one interface. Values are base64 of the sum's bytes, most significant first. */
export type ChecksumName = "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1" | "SHA256";

export interface Checksum {
  readonly algorithm: ChecksumName;
  update(chunk: Uint8Array): void;
  /** Base64; the last call. */
  digest(): string;
}

const SUM_BYTES: Readonly<Record<ChecksumName, number>> = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 };

export function createChecksum(algorithm: ChecksumName): Checksum {
  switch (algorithm) {
    case "CRC32":
      return createCrc(algorithm, crc32);
    case "CRC32C":
      return createCrc(algorithm, crc32c);
    case "CRC64NVME": {
      const sum = new Crc64Nvme();
      return { algorithm, update: (chunk) => sum.update(chunk), digest: () => sum.digest().toString("base64") };
    }
    case "SHA1":
    case "SHA256": {
      const hash = createHash(algorithm === "SHA1" ? "sha1" : "sha256");
      return { algorithm, update: (chunk) => void hash.update(chunk), digest: () => hash.digest("base64") };
    }
  }
}

function createCrc(algorithm: ChecksumName, next: (bytes: Uint8Array, before: number) => number): Checksum {
  let sum = 0;
  return {
    algorithm,
    update(chunk) {
      // The binding takes Buffers only, whatever its types say.
      sum = next(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), sum);
    },
    digest() {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeUInt32BE(sum >>> 0);
      return bytes.toString("base64");
    },
  };
}

/** Whether the text can be a sum of this algorithm at all: exactly the base64 of as many bytes as it has. */
export function isChecksumValue(algorithm: ChecksumName, value: string): boolean {
  const bytes = Buffer.from(value, "base64");
  return bytes.byteLength === SUM_BYTES[algorithm] && bytes.toString("base64") === value;
}

export interface SummedPart {
  readonly value: string;
  readonly sizeBytes: number;
}

/** Whether the checksum of a whole follows from those of its parts. */
export function isCombinable(algorithm: ChecksumName): algorithm is "CRC32" | "CRC32C" | "CRC64NVME" {
  return algorithm === "CRC32" || algorithm === "CRC32C" || algorithm === "CRC64NVME";
}

/** The checksum of all bytes of the parts in their order, without reading them again. */
export function combineChecksums(algorithm: "CRC32" | "CRC32C" | "CRC64NVME", parts: readonly SummedPart[]): string {
  return combineCrcs(
    algorithm,
    parts.map(({ value, sizeBytes }) => ({ sum: Buffer.from(value, "base64"), sizeBytes })),
  ).toString("base64");
}

/** The checksum of the parts' checksums, a dash, and how many they are. */
export function compositeChecksum(algorithm: ChecksumName, values: readonly string[]): string {
  const whole = createChecksum(algorithm);
  for (const value of values) whole.update(Buffer.from(value, "base64"));
  return `${whole.digest()}-${values.length}`;
}
