import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../core/errors.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { decodeListed, decodeRecord, EMPTY_ETAG, encodeRecord } from "./record-codec.ts";
import {
  decodeChange,
  decodeEntry,
  decodeOwner,
  decodeTombstone,
  encodeChange,
  encodeEntry,
  encodeOwner,
  encodeTombstone,
} from "./rows.ts";
import type {
  ContentHeaders,
  Copy,
  FileRecord,
  FileVersion,
  VersionDetails,
  VersionLabels,
  VersionLock,
} from "./types.ts";
import { decodeVersionParts, encodeVersionParts } from "./version-parts.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const time = fc.integer({ min: -1e12, max: 4e12 });
const count = fc.maxSafeNat();

function optional<K extends string, T>(name: K, value: fc.Arbitrary<T>): fc.Arbitrary<Partial<Record<K, T>>> {
  return fc
    .option(value, { nil: undefined })
    .map((found) => (found === undefined ? {} : { [name]: found }) as Partial<Record<K, T>>);
}

const copyArbitrary: fc.Arbitrary<Copy> = fc
  .tuple(
    fc.record({
      site: text as fc.Arbitrary<SiteName>,
      key: text,
      state: fc.constantFrom(
        "present" as const,
        "foreign" as const,
        "pending" as const,
        "stale" as const,
        "failed" as const,
      ),
      changedMs: time,
    }),
    optional("etag", text),
    optional("reason", text),
  )
  .map(([base, etag, reason]) => ({ ...base, ...etag, ...reason }));

const names = text.filter((name) => name !== "__proto__");

const detailsArbitrary: fc.Arbitrary<VersionDetails> = fc
  .tuple(
    optional(
      "contentHeaders",
      fc
        .tuple(
          optional("cacheControl", text),
          optional("contentDisposition", text),
          optional("contentEncoding", text),
          optional("contentLanguage", text),
          optional("expires", text),
          optional("websiteRedirect", text),
        )
        .map((fields) => Object.assign({}, ...fields) as ContentHeaders),
    ),
    optional(
      "checksum",
      fc.record({
        algorithm: fc.constantFrom(
          "CRC32" as const,
          "CRC32C" as const,
          "CRC64NVME" as const,
          "SHA1" as const,
          "SHA256" as const,
        ),
        kind: fc.constantFrom("full" as const, "composite" as const),
        value: text,
      }),
    ),
    optional("partCount", count),
    optional("versioned", fc.constant(true)),
    optional("owner", text),
    optional(
      "labels",
      fc
        .tuple(
          optional("tags", fc.dictionary(names, text, { maxKeys: 4, noNullPrototype: true })),
          optional("accessList", text),
          optional(
            "lock",
            fc
              .tuple(
                optional(
                  "retention",
                  fc.record({ mode: fc.constantFrom("governance" as const, "compliance" as const), untilMs: time }),
                ),
                optional("legalHold", fc.boolean()),
              )
              .map((fields) => Object.assign({}, ...fields) as VersionLock),
          ),
        )
        .map((fields) => Object.assign({}, ...fields) as VersionLabels),
    ),
  )
  .map((fields) => Object.assign({}, ...fields) as VersionDetails);

const versionArbitrary = fc
  .tuple(
    fc.record({
      id: text as fc.Arbitrary<VersionId>,
      sizeBytes: count,
      etag: text,
      metadata: fc.dictionary(names, text, { maxKeys: 3, noNullPrototype: true }),
      createdMs: time,
      copies: fc.array(copyArbitrary, { maxLength: 4 }),
    }),
    optional("sha256", fc.stringMatching(/^[0-9a-f]{64}$/)),
    optional("contentType", text),
    optional("details", detailsArbitrary),
  )
  .map(([base, ...rest]) => Object.assign({}, base, ...rest) as FileVersion);

const recordArbitrary: fc.Arbitrary<FileRecord> = fc
  .tuple(
    fc.record({
      inode: fc.constant(7 as Inode),
      kind: fc.constantFrom("file" as const, "directory" as const, "symlink" as const),
      mode: fc.nat(0o7777),
      uid: count,
      gid: count,
      linkCount: count,
      createdMs: time,
      modifiedMs: time,
      changedMs: time,
    }),
    optional("implicit", fc.constant(true)),
    optional("parent", fc.record({ inode: count as fc.Arbitrary<Inode>, name: text })),
    optional("target", text),
    optional("version", versionArbitrary),
  )
  .map(([base, ...rest]) => Object.assign({}, base, ...rest) as FileRecord);

describe("rows of the catalog", () => {
  it("read back as they were written", () => {
    fc.assert(
      fc.property(recordArbitrary, (record) => {
        expect(decodeRecord(record.inode, encodeRecord(record))).toEqual(record);
      }),
    );
    const change = {
      kind: "renamed" as const,
      path: "b" as FilePath,
      from: "a" as FilePath,
      inode: 3 as Inode,
      atMs: 5,
    };
    expect(decodeChange(encodeChange(change))).toEqual(change);
    const tombstone = { path: "a" as FilePath, deletedMs: 9, versionId: "v" as VersionId, etags: ["x", "y"] };
    expect(decodeTombstone(tombstone.path, encodeTombstone(tombstone))).toEqual(tombstone);
  });

  it("tell a listing what it shows, and nothing else of the file", () => {
    fc.assert(
      fc.property(recordArbitrary, (record) => {
        const row = encodeRecord(record);
        const { version } = record;
        if (version === undefined) {
          const shown = { sizeBytes: 0, etag: EMPTY_ETAG, modifiedMs: record.modifiedMs, metadata: {}, versionId: "" };
          expect(decodeListed("a key", row)).toEqual({ key: "a key", ...shown });
          return;
        }
        const { copies: _, createdMs: modifiedMs, id: versionId, ...whole } = version;
        expect(decodeListed("a key", row)).toEqual({ key: "a key", ...whole, modifiedMs, versionId });
        const { sha256: _sum, contentType: _type, ...brief } = whole;
        expect(decodeListed("a key", row, true)).toEqual({
          key: "a key",
          ...brief,
          metadata: {},
          modifiedMs,
          versionId,
        });
      }),
    );
  });

  it("of parts read back as they were written", () => {
    const part = fc
      .tuple(fc.record({ partNumber: count, sizeBytes: count }), optional("checksum", text))
      .map(([base, checksum]) => ({ ...base, ...checksum }));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        expect(decodeVersionParts(encodeVersionParts(parts))).toEqual(parts);
      }),
    );
  });

  it("grow by one byte of flags and the texts for the details that are usual", () => {
    const version: FileVersion = {
      id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" as VersionId,
      sizeBytes: 1,
      etag: "e",
      metadata: {},
      createdMs: 0,
      copies: [],
    };
    const record: FileRecord = {
      inode: 7 as Inode,
      kind: "file",
      mode: 0,
      uid: 0,
      gid: 0,
      linkCount: 1,
      createdMs: 0,
      modifiedMs: 0,
      changedMs: 0,
      version,
    };
    const details: VersionDetails = {
      checksum: { algorithm: "CRC32", kind: "full", value: "AAAAAA==" },
      owner: "alice",
    };
    const plain = encodeRecord(record).byteLength;
    expect(encodeRecord({ ...record, version: { ...version, details } }).byteLength - plain).toBe(1 + 1 + 9 + 6);
  });

  it("say that they are damaged, whatever the bytes are", () => {
    const decoders = [
      (bytes: Uint8Array) => decodeRecord(7 as Inode, bytes),
      decodeEntry,
      decodeOwner,
      decodeChange,
      (bytes: Uint8Array) => decodeTombstone("a" as FilePath, bytes),
      decodeVersionParts,
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(decoders.length - 1), (bytes, index) => {
        try {
          decoders[index]?.(bytes);
        } catch (error) {
          expect(isGfsError(error, "DataCorrupt")).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("cut short anywhere are damaged", () => {
    fc.assert(
      fc.property(recordArbitrary, fc.nat(), (record, cut) => {
        const bytes = encodeRecord(record);
        expect(() => decodeRecord(record.inode, bytes.subarray(0, cut % bytes.length))).toThrow(/cannot be read/);
      }),
    );
    expect(() => decodeEntry(encodeEntry(300 as Inode).subarray(0, 1))).toThrow(/cannot be read/);
    expect(() => decodeOwner(encodeOwner({ inode: 1 as Inode, versionId: "v" as VersionId }).subarray(0, 2))).toThrow(
      /cannot be read/,
    );
  });
});
