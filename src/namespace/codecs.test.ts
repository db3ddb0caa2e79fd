import fc from "fast-check";
import type { BlockSums } from "../core/block-sums.ts";
import { seededRandom } from "../core/ports/random.ts";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../core/errors.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { decodeAttributes, encodeAttributes } from "./attributes-codec.ts";
import { decodeContent, decodeListed, encodeContent } from "./content-codec.ts";
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
  FileAttributes,
  FileVersion,
  VersionDetails,
  VersionLabels,
  VersionLock,
} from "./types.ts";
import { decodeVersionParts, encodeVersionParts } from "./version-parts.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const time = fc.integer({ min: -1e12, max: 4e12 });
const count = fc.maxSafeNat();
const base64 = fc.uint8Array({ maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("base64"));

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

const blocksArbitrary: fc.Arbitrary<BlockSums> = fc
  .array(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      sizeBytes: fc.integer({ min: 1, max: 300 }),
      blockBytes: fc.integer({ min: 1, max: 400 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((runs) => {
    const count = runs.reduce((sum, run) => sum + run.count * Math.ceil(run.sizeBytes / run.blockBytes), 0);
    return { runs, sums: Buffer.from(seededRandom(count).bytes(4 * count)).toString("base64") };
  });

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
    fc.option(blocksArbitrary, { nil: undefined }),
  )
  .map(([base, sha256, contentType, details, blocks]) => {
    const size = blocks?.runs.reduce((sum, run) => sum + run.count * run.sizeBytes, 0);
    return Object.assign(
      {},
      base,
      sha256,
      contentType,
      details,
      blocks === undefined ? {} : { blocks, sizeBytes: size },
    ) as FileVersion;
  });

const moment = fc.record({ ms: time, ns: fc.nat(999_999) });

const attributesArbitrary: fc.Arbitrary<FileAttributes> = fc
  .tuple(
    fc.record({
      inode: fc.constant(7 as Inode),
      mode: fc.nat(0o7777),
      uid: count,
      gid: count,
      linkCount: count,
      accessed: moment,
      modified: moment,
      changed: moment,
      created: moment,
    }),
    fc.oneof(
      fc.record({ kind: fc.constant("file" as const), sizeBytes: count }),
      fc.record({ kind: fc.constantFrom("fifo" as const, "socket" as const), sizeBytes: fc.constant(0) }),
      fc.record({ kind: fc.constantFrom("characterDevice", "blockDevice"), sizeBytes: fc.constant(0), rdev: count }),
      text.map((target) => ({ kind: "symlink" as const, target, sizeBytes: Buffer.byteLength(target) })),
      fc.constant({ kind: "directory" as const, sizeBytes: 0 }),
    ),
    optional("implicit", fc.constant(true)),
    optional("parent", fc.record({ inode: count as fc.Arbitrary<Inode>, name: text })),
    optional("extended", fc.record({ count, sizeBytes: count })),
    optional("writeEpoch", count),
    // Most times of a file are the same moment.
    fc.subarray(["accessed", "changed", "created"] as const),
  )
  .map(([base, kind, implicit, parent, extended, writeEpoch, same]) => {
    const made = Object.assign({}, base, kind, implicit, parent, extended, writeEpoch) as FileAttributes;
    return Object.assign(made, Object.fromEntries(same.map((name) => [name, { ...made.modified }])));
  });

describe("rows of the catalog", () => {
  it("read back as they were written", () => {
    fc.assert(
      fc.property(attributesArbitrary, (attributes) => {
        expect(decodeAttributes(attributes.inode, encodeAttributes(attributes))).toEqual(attributes);
      }),
    );
    fc.assert(
      fc.property(versionArbitrary, (version) => {
        expect(decodeContent(encodeContent(version))).toEqual(version);
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
    const tombstone = {
      path: "a" as FilePath,
      deletedMs: 9,
      versionId: "v" as VersionId,
      etags: ["x", "y"],
      versions: ["v"],
    };
    expect(decodeTombstone(tombstone.path, encodeTombstone(tombstone))).toEqual(tombstone);
  });

  it("tell a listing what it shows, and nothing else of the file", () => {
    fc.assert(
      fc.property(versionArbitrary, (version) => {
        const row = encodeContent(version);
        const { copies: _, createdMs: modifiedMs, id: versionId, blocks: _blocks, ...whole } = version;
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
      .tuple(fc.record({ partNumber: count, sizeBytes: count }), optional("checksum", base64))
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
    const details: VersionDetails = {
      checksum: { algorithm: "CRC32", kind: "full", value: "AAAAAA==" },
      owner: "alice",
    };
    const plain = encodeContent(version).byteLength;
    expect(encodeContent({ ...version, details }).byteLength - plain).toBe(1 + 1 + 9 + 6);
  });

  it("say that they are damaged, whatever the bytes are", () => {
    const decoders = [
      (bytes: Uint8Array) => decodeAttributes(7 as Inode, bytes),
      decodeContent,
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
      fc.property(attributesArbitrary, versionArbitrary, fc.nat(), (attributes, version, cut) => {
        const row = encodeAttributes(attributes);
        expect(() => decodeAttributes(7 as Inode, row.subarray(0, cut % row.length))).toThrow(/cannot be read/);
        const content = encodeContent(version);
        expect(() => decodeContent(content.subarray(0, cut % content.length))).toThrow(/cannot be read/);
      }),
    );
    const entry = encodeEntry({ inode: 300 as Inode, kind: "file" });
    expect(() => decodeEntry(entry.subarray(0, 1))).toThrow(/cannot be read/);
    expect(() => decodeOwner(encodeOwner({ inode: 1 as Inode, versionId: "v" as VersionId }).subarray(0, 2))).toThrow(
      /cannot be read/,
    );
  });
});
