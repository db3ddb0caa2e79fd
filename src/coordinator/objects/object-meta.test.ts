import { describe, expect, it } from "vitest";
import type { FilePath, VersionId } from "../../core/ids.ts";
import { readDescribed } from "../../namespace/index.ts";
import { checkUserMetadata, describeWrite } from "./object-meta.ts";

const version = {
  id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" as VersionId,
  sizeBytes: 1,
  etag: "0".repeat(32),
  sha256: "a".repeat(64),
  metadata: {},
  createdMs: 1_900_000_000_000,
  copies: [],
};

function sizeOf(metadata: Readonly<Record<string, string>> = {}): number {
  return Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
}

describe("what goes along with an object to its sites", () => {
  it("tells who wrote it, its headers and its checksum", () => {
    const details = {
      owner: "Zoë & sons",
      contentHeaders: { cacheControl: "no-cache, max-age=0", contentDisposition: 'attachment; filename="ü"' },
      checksum: { algorithm: "CRC32" as const, kind: "full" as const, value: "AAAAAA==" },
    };
    const { metadata } = describeWrite("b/x" as FilePath, { ...version, details });
    expect(readDescribed(metadata ?? {})).toEqual(details);
    for (const value of Object.values(metadata ?? {})) expect(value).toMatch(/^[ -~]*$/);
  });

  it("never has more than S3 takes, and says how much was left out", () => {
    const full = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`name-${at}`, "v".repeat(121)]));
    checkUserMetadata(full);
    const long = `${"é".repeat(100)}/x` as FilePath;
    const details = { owner: "alice", contentHeaders: { cacheControl: "c".repeat(300) } };
    const { metadata } = describeWrite(long, { ...version, metadata: full, details });
    // The checksum of the bytes is added by the driver.
    expect(sizeOf(metadata) + "globalfs-sha256".length + 64).toBeLessThanOrEqual(2_048);
    const kept = Object.keys(metadata ?? {}).filter((name) => name.startsWith("name-")).length;
    expect(kept).toBeGreaterThan(0);
    expect(metadata?.["globalfs-left-out"]).toBe(String(16 - kept));
    expect(metadata?.["globalfs-version"]).toBe(version.id);
  });

  it("is refused only where the user's own is more than 2 KiB", () => {
    expect(() => checkUserMetadata({ a: "v".repeat(2_048) })).toThrow(/2048/);
    expect(() => checkUserMetadata({ a: "v".repeat(2_047) })).not.toThrow();
  });
});
