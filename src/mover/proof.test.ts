import { describe, expect, it } from "vitest";
import { type ChecksumName, createChecksum } from "../core/checksums.ts";
import type { ContentChecksum, FileVersion } from "../namespace/index.ts";
import { sha256Of } from "../stores/testing/scripted-store.ts";
import { createProof, createQuickProof, isProvable, type Proof } from "./proof.ts";

const BYTES = Buffer.from("the bytes of a version");
const OTHERS = Buffer.from("The bytes of a version");

function sum(algorithm: ChecksumName, bytes: Uint8Array, kind: ContentChecksum["kind"] = "full"): ContentChecksum {
  const made = createChecksum(algorithm);
  made.update(bytes);
  return { algorithm, kind, value: made.digest() };
}

function version(known: Pick<FileVersion, "sha256" | "details">): FileVersion {
  return {
    id: "v" as FileVersion["id"],
    sizeBytes: BYTES.length,
    etag: "e",
    metadata: {},
    createdMs: 0,
    copies: [],
    ...known,
  };
}

/** In two pieces, as bytes come. */
function holds(proof: Proof | undefined, bytes: Uint8Array): boolean | undefined {
  proof?.update(bytes.subarray(0, 5));
  proof?.update(bytes.subarray(5));
  return proof?.holds();
}

const PROVABLE: readonly (readonly [string, FileVersion])[] = [
  ["its SHA-256", version({ sha256: sha256Of(BYTES) })],
  ["the checksum that its writer gave", version({ details: { checksum: sum("CRC64NVME", BYTES) } })],
  [
    "that of the whole, when its parts have one of their own",
    version({ details: { checksum: sum("CRC32C", OTHERS, "composite"), wholeChecksum: sum("CRC32C", BYTES) } }),
  ],
];

describe("what bytes are held against", () => {
  it.each(PROVABLE)("is %s", (_what, known) => {
    expect(isProvable(known)).toBe(true);
    for (const create of [createProof, createQuickProof]) {
      expect([holds(create(known), BYTES), holds(create(known), OTHERS)]).toEqual([true, false]);
    }
  });

  it("is nothing where no checksum of the whole is known", () => {
    for (const unknown of [version({}), version({ details: { checksum: sum("CRC32C", BYTES, "composite") } })]) {
      expect([isProvable(unknown), createProof(unknown), createQuickProof(unknown)]).toEqual([
        false,
        undefined,
        undefined,
      ]);
    }
  });

  it.each([
    ["CRC32", true],
    ["CRC32C", true],
    ["SHA1", false],
    ["CRC64NVME", false],
  ] as const)("for reads beside a SHA-256 is a %s: %s, which is whether that costs less", (algorithm, quick) => {
    // Each holds for bytes of its own, so that the answer says which of them was computed.
    const known = version({ sha256: sha256Of(BYTES), details: { checksum: sum(algorithm, OTHERS) } });
    expect(holds(createQuickProof(known), OTHERS)).toBe(quick);
    expect(holds(createProof(known), BYTES)).toBe(true);
  });
});
