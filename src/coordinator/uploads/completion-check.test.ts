import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type ChecksumName, compositeChecksum, createChecksum } from "../../core/checksums.ts";
import type { GfsError } from "../../core/errors.ts";
import type { FilePath, VersionId } from "../../core/ids.ts";
import type { PartRecord, UploadRecord } from "../../namespace/index.ts";
import type { CompleteUpload } from "../service/service.ts";
import { checkCompletion } from "./completion-check.ts";

const SMALLEST = 5 * 1024 ** 2;
const PLACE = { key: "dir/file", uploadId: "u" };

function sum(algorithm: ChecksumName, ...pieces: readonly Uint8Array[]): string {
  const made = createChecksum(algorithm);
  for (const piece of pieces) made.update(piece);
  return made.digest();
}

function upload(checksum?: UploadRecord["checksum"]): UploadRecord {
  return {
    path: "dir/file" as FilePath,
    uploadId: "u" as VersionId,
    startedMs: 0,
    metadata: {},
    sites: [],
    inBucket: false,
    ...(checksum === undefined ? {} : { checksum }),
  };
}

const FULL = Buffer.alloc(SMALLEST, "full");
const REST = Buffer.from("rest");

function part(partNumber: number, bytes: Uint8Array, algorithm?: ChecksumName): PartRecord {
  return {
    partNumber,
    sizeBytes: bytes.byteLength,
    etag: createHash("md5").update(bytes).digest("hex"),
    modifiedMs: 0,
    crc32c: sum("CRC32C", bytes),
    sites: [],
    ...(algorithm === undefined ? {} : { checksum: sum(algorithm, bytes) }),
  };
}

const made = new Map<ChecksumName | undefined, PartRecord[]>();
/** To sum so many bytes takes a while. */
function arrived(algorithm?: ChecksumName): PartRecord[] {
  const parts = made.get(algorithm) ?? [part(2, FULL, algorithm), part(5, REST, algorithm)];
  made.set(algorithm, parts);
  return parts;
}
const named = (parts: readonly PartRecord[]): CompleteUpload["parts"] =>
  parts.map(({ partNumber, etag }) => ({ partNumber, etag }));
const check = (parts: CompleteUpload["parts"], more: Partial<CompleteUpload> = {}, there = arrived()) =>
  checkCompletion(upload(), there, { ...PLACE, parts, ...more });
const reasonOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return (error as GfsError).context["s3"];
  }
  return "none";
};

describe("the parts that complete an upload", () => {
  it("make the whole, with the MD5 of their MD5s and the checksum of all bytes, and what they are held against", () => {
    const parts = arrived();
    const whole = check(named(parts));
    const md5 = createHash("md5");
    for (const { etag } of parts) md5.update(etag, "hex");
    expect(whole).toMatchObject({
      parts,
      sizeBytes: SMALLEST + 4,
      etag: `${md5.digest("hex")}-2`,
      checksum: { algorithm: "CRC32C", kind: "full", value: sum("CRC32C", FULL, REST) },
    });
    expect(whole.wholeChecksum).toBeUndefined();
  });

  it("are those that the request names, and no others", () => {
    const there = [...arrived(), part(7, Buffer.from("not named"))];
    expect(check(named(arrived()), {}, there).sizeBytes).toBe(SMALLEST + 4);
  });

  it("may be one that is empty", () => {
    const there = [part(1, Buffer.alloc(0))];
    const { sizeBytes, blocks } = check(named(there), {}, there);
    expect([sizeBytes, blocks.sums]).toEqual([0, ""]);
    const [, rest] = arrived() as [PartRecord, PartRecord];
    expect(check(named([rest]), {}, [rest]).blocks.sums).toBe(rest.crc32c);
  });

  it("come in the order of their numbers; one that is named twice is what it is said to be last", () => {
    const [first, last] = named(arrived()) as [CompleteUpload["parts"][0], CompleteUpload["parts"][0]];
    expect(reasonOf(() => check([last, first]))).toBe("InvalidPartOrder");
    expect(check([{ ...first, etag: "another" }, first, last]).sizeBytes).toBe(SMALLEST + 4);
    expect(reasonOf(() => check([first, { ...first, etag: "another" }, last]))).toBe("InvalidPart");
    expect(reasonOf(() => check([]))).toBe("MalformedXML");
  });

  it("have arrived with the ETag that the request names, in quotes or without, and its checksum where both are known", () => {
    const [{ etag }] = arrived() as [PartRecord];
    const one = (given: string, checksum?: string, there = arrived()): unknown =>
      reasonOf(() =>
        check([{ partNumber: 2, etag: given, ...(checksum === undefined ? {} : { checksum }) }], {}, there),
      );
    expect([one(etag), one(`"${etag}"`), one(etag.toUpperCase())]).toEqual(["none", "none", "none"]);
    expect([one("another"), one(etag, "whatever it is"), reasonOf(() => check([{ partNumber: 3, etag }]))]).toEqual([
      "InvalidPart",
      "none",
      "InvalidPart",
    ]);
    const summed = arrived("SHA1");
    expect([one(etag, sum("SHA1", FULL), summed), one(etag, sum("SHA1", REST), summed)]).toEqual([
      "none",
      "InvalidPart",
    ]);
  });

  it("have 5 MiB each, save the last", () => {
    const [large] = arrived() as [PartRecord];
    const small = { ...large, partNumber: 1, sizeBytes: SMALLEST - 1 };
    expect(reasonOf(() => check(named([small, large]), {}, [small, large]))).toBe("EntityTooSmall");
    expect(reasonOf(() => check(named([small]), {}, [small]))).toBe("none");
  });

  it("are as many bytes as the request says", () => {
    expect(reasonOf(() => check(named(arrived()), { sizeBytes: SMALLEST + 4 }))).toBe("none");
    expect(reasonOf(() => check(named(arrived()), { sizeBytes: SMALLEST + 5 }))).toBe("InvalidRequest");
  });
});

describe("the checksum that an upload was begun with", () => {
  const whole = (kind: "full" | "composite", algorithm: "CRC32" | "SHA256", checksum?: string) =>
    checkCompletion(upload({ algorithm, kind }), arrived(algorithm), {
      ...PLACE,
      parts: named(arrived()),
      ...(checksum === undefined ? {} : { checksum }),
    });
  const mismatch = expect.objectContaining({ code: "ChecksumMismatch" }) as Error;

  it("is that of all bytes where parts can be put together", () => {
    const value = sum("CRC32", FULL, REST);
    expect(whole("full", "CRC32", value).checksum).toEqual({ algorithm: "CRC32", kind: "full", value });
    expect(whole("full", "CRC32").wholeChecksum).toBeUndefined();
    expect(() => whole("full", "CRC32", sum("CRC32", FULL))).toThrow(mismatch);
  });

  it.each(["CRC32", "SHA256"] as const)(
    "is that of the parts' sums, with or without how many they are (%s)",
    (name) => {
      const value = compositeChecksum(name, [sum(name, FULL), sum(name, REST)]);
      const made = whole("composite", name, value);
      expect(made.checksum).toEqual({ algorithm: name, kind: "composite", value });
      // Copies are held against that of all bytes.
      expect(made.wholeChecksum).toEqual({ algorithm: "CRC32C", kind: "full", value: sum("CRC32C", FULL, REST) });
      whole("composite", name, value.slice(0, -"-2".length));
      expect(() => whole("composite", name, sum(name, FULL, REST))).toThrow(mismatch);
    },
  );

  it("does not count where the upload was begun without one", () => {
    expect(check(named(arrived()), { checksum: "anything" }).sizeBytes).toBe(SMALLEST + 4);
  });
});
