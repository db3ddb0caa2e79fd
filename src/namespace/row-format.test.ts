import { describe, expect, it } from "vitest";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { positionOf } from "../kv/index.ts";
import { decodeBucket, decodeRules, encodeBucket } from "./bucket-codec.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import {
  decodeHistory,
  decodeSequence,
  encodeHistory,
  encodeSequence,
  historyKey,
  indexKey,
  placeOfIndexKey,
} from "./history-rows.ts";
import { pastKey, placeOfPastKey } from "./past-rows.ts";
import { decodeContent, decodeListed, encodeContent } from "./content-codec.ts";
import {
  attributesKey,
  bucketDocumentKey,
  bucketKey,
  changeKey,
  contentKey,
  decodeChange,
  decodeEntry,
  decodeNumber,
  decodeOwner,
  decodeTombstone,
  documentOfKey,
  encodeChange,
  encodeEntry,
  encodeNumber,
  encodeOwner,
  encodeTombstone,
  entryKey,
  inodeOfKey,
  isDirectoryEntry,
  nameOfBucketKey,
  nameOfEntryKey,
  ownerKey,
  parentOfEntryKey,
  placeOfOwnerKey,
  tombstoneKey,
  touchedKey,
} from "./rows.ts";
import type {
  BucketSettings,
  Change,
  ChangeCause,
  ChangeKind,
  ChecksumAlgorithm,
  Copy,
  FileVersion,
  VersionLabels,
} from "./types.ts";
import { decodeVersionParts, encodeVersionParts } from "./version-parts.ts";

/** A catalog that an older release wrote has to be read by this one: here is what lies in it, byte for byte, as `docs/formats.md` draws it. */

const INODE = 7 as Inode;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const text = (value: string): string => Buffer.from(value).toString("hex");
const damaged = { code: "DataCorrupt" };

const version: FileVersion = { id: "v" as VersionId, sizeBytes: 9, etag: "e", metadata: {}, createdMs: 2, copies: [] };
const VERSION = `01760901${text("e")}`;

const withVersion = (changes: Partial<FileVersion>): FileVersion => ({ ...version, ...changes });
const withLabels = (labels: VersionLabels): FileVersion => withVersion({ details: { labels } });
const copyAt = (changes: Partial<Copy>): Copy => ({
  site: "s" as SiteName,
  key: "k",
  state: "present",
  changedMs: 1,
  ...changes,
});

describe("the row of a file's content", () => {
  it.each<[string, FileVersion, string]>([
    ["a version", withVersion({}), `0100${VERSION}000400`],
    [
      "a version with a sum and a type",
      withVersion({ sha256: "ab".repeat(32), contentType: "t" }),
      `0103${VERSION}${"ab".repeat(32)}01${text("t")}000400`,
    ],
    [
      "a version with metadata",
      withVersion({ metadata: { a: "b", c: "d" } }),
      `0100${VERSION}0201${text("a")}01${text("b")}01${text("c")}01${text("d")}0400`,
    ],
    [
      "copies",
      withVersion({
        copies: [
          copyAt({ etag: "x" }),
          copyAt({ state: "foreign" }),
          copyAt({ state: "pending", reason: "y" }),
          copyAt({ state: "stale", etag: "x", reason: "y" }),
          copyAt({ state: "failed" }),
        ],
      }),
      `0100${VERSION}000405${["08", "01", "12", "1b", "04"]
        .map((flags, index) => {
          const etag = index === 0 || index === 3 ? `01${text("x")}` : "";
          const reason = index === 2 || index === 3 ? `01${text("y")}` : "";
          return `${flags}01${text("s")}01${text("k")}02${etag}${reason}`;
        })
        .join("")}`,
    ],
    [
      "headers",
      withVersion({ details: { contentHeaders: { cacheControl: "a", contentLanguage: "b", websiteRedirect: "c" } } }),
      `0104${VERSION}0004000129${["a", "b", "c"].map((each) => `01${text(each)}`).join("")}`,
    ],
    [
      "the other headers",
      withVersion({ details: { contentHeaders: { contentDisposition: "a", contentEncoding: "b", expires: "c" } } }),
      `0104${VERSION}0004000116${["a", "b", "c"].map((each) => `01${text(each)}`).join("")}`,
    ],
    [
      "checksums of the parts and of the whole, a part count, an owner, and that it has an id",
      withVersion({
        details: {
          checksum: { algorithm: "SHA256", kind: "composite", value: "a" },
          wholeChecksum: { algorithm: "CRC32C", kind: "full", value: "b" },
          partCount: 3,
          versioned: true,
          owner: "o",
        },
      }),
      `0104${VERSION}0004005e0c01${text("a")}0101${text("b")}0301${text("o")}`,
    ],
    [
      "tags and an access list",
      withLabels({ tags: { a: "b" }, accessList: "l" }),
      `0104${VERSION}00040020030101${text("a")}01${text("b")}01${text("l")}`,
    ],
    [
      "a lock in compliance mode that is held",
      withLabels({ lock: { retention: { mode: "compliance", untilMs: 5 }, legalHold: true } }),
      `0104${VERSION}000400207c0a`,
    ],
    [
      "a lock in governance mode",
      withLabels({ lock: { retention: { mode: "governance", untilMs: 5 } } }),
      `0104${VERSION}000400200c0a`,
    ],
    ["a hold that was lifted", withLabels({ lock: { legalHold: false } }), `0104${VERSION}0004002024`],
  ])("of %s", (_what, record, expected) => {
    expect(hex(encodeContent(record))).toBe(expected);
    expect(decodeContent(Buffer.from(expected, "hex"))).toEqual(record);
  });

  it.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"].map((name, index) => [name, index] as const))(
    "tells %s by its number",
    (algorithm, number) => {
      const checksum = { algorithm: algorithm as ChecksumAlgorithm, kind: "full" as const, value: "" };
      expect(hex(encodeContent(withVersion({ details: { checksum } })))).toBe(`0104${VERSION}000400020${number}00`);
    },
  );

  it("keeps no sum that is not one of SHA-256, as some sites report", () => {
    for (const sha256 of ["ab".repeat(31), "AB".repeat(32), `${"ab".repeat(32)}cd`]) {
      expect(hex(encodeContent(withVersion({ sha256 })))).toBe(`0100${VERSION}000400`);
    }
  });

  it.each([
    ["another format", `0200${VERSION}000400`],
    ["an unknown state of a copy", `0100${VERSION}0004010501${text("s")}01${text("k")}02`],
    ["an unknown algorithm", `0104${VERSION}000400020500`],
    ["bytes behind its end", `0100${VERSION}00040000`],
  ])("with %s is damaged", (_what, row) => {
    expect(() => decodeContent(Buffer.from(row, "hex"))).toThrow(expect.objectContaining(damaged));
  });

  it("in another format or with bytes behind its end is no line of a listing", () => {
    const listed = (row: string, brief: boolean): unknown => decodeListed("k", Buffer.from(row, "hex"), brief);
    for (const brief of [false, true]) {
      const whole = `0100${VERSION}000400`;
      expect(listed(whole, brief)).toMatchObject({ sizeBytes: 9, versionId: "v" });
      for (const row of [`02${whole.slice(2)}`, `${whole}00`])
        expect(() => listed(row, brief)).toThrow(expect.objectContaining(damaged));
    }
  });
});

describe("the small rows", () => {
  it("have keys that can be read back", () => {
    const far = (2 ** 32 * 3 + 5) as Inode;
    for (const [space, key] of [
      ["i", attributesKey(far)],
      ["ic", contentKey(far)],
      ["it", touchedKey(far)],
    ] as const) {
      expect(hex(key)).toBe(`${text(space)}000000000300000005`);
      expect(inodeOfKey(key)).toBe(far);
    }
    const entry = entryKey(far, "é/");
    expect(hex(entry)).toBe(`${text("d")}000000000300000005${text("é/")}`);
    expect([nameOfEntryKey(entry), nameOfEntryKey(new Uint8Array(entry)), parentOfEntryKey(entry)]).toEqual([
      "é/",
      "é/",
      far,
    ]);
    expect([isDirectoryEntry(entry), isDirectoryEntry(entryKey(far, "a"))]).toEqual([true, false]);
    const owner = ownerKey("s" as SiteName, "a/b");
    expect(hex(owner)).toBe(`${text("o")}00${text("s")}00${text("a/b")}`);
    expect(placeOfOwnerKey(owner)).toEqual({ site: "s", objectKey: "a/b" });
    expect(hex(tombstoneKey("a"))).toBe(`${text("t")}00${text("a")}`);
    expect(hex(bucketKey("b"))).toBe(`${text("b")}00${text("b")}`);
    expect(nameOfBucketKey(bucketKey("b"))).toBe("b");
    expect(hex(bucketDocumentKey(7 as Inode, "policy"))).toBe(`${text("bd")}000000000000000007${text("policy")}`);
    expect(documentOfKey(bucketDocumentKey(7 as Inode, "policy"))).toBe("policy");
    expect(hex(changeKey(259))).toBe(`${text("c")}000000000000000103`);
    expect(positionOf(changeKey(259))).toBe(259);
    const named = { directory: 5 as Inode, name: "p" };
    expect(hex(historyKey(named, 1))).toBe(`${text("v")}000000000000000005${text("p")}00001ffffffffffffe`);
    expect(hex(indexKey(named, "null"))).toBe(`${text("vi")}000000000000000005${text("p")}00${text("null")}`);
    expect(placeOfIndexKey(indexKey(named, "null"))).toEqual({ ...named, shownId: "null" });
    const past = { directory: 5 as Inode, name: "d/", order: 3 };
    expect(hex(pastKey(past))).toBe(`${text("vd")}000000000000000005${text("d/")}000000000000000003`);
    expect(placeOfPastKey(pastKey(past))).toEqual(past);
  });

  it("of entries, owners, tombstones and numbers", () => {
    const kinds = ["file", "directory", "symlink", "fifo", "socket", "characterDevice", "blockDevice"] as const;
    for (const [number, kind] of kinds.entries()) {
      expect(hex(encodeEntry({ inode: 300 as Inode, kind }))).toBe(`0${number}ac02`);
      expect(decodeEntry(Buffer.from(`0${number}ac02`, "hex"))).toEqual({ inode: 300, kind });
    }
    expect(hex(encodeOwner({ inode: INODE, versionId: "v" as VersionId }))).toBe("070176");
    const tombstone = {
      path: "a" as FilePath,
      deletedMs: 9,
      versionId: "v" as VersionId,
      etags: ["x", "y"],
      versions: ["v"],
    };
    expect(hex(encodeTombstone(tombstone))).toBe(`12017602${text("\u0001x\u0001y\u0001\u0001v")}`);
    expect(hex(encodeNumber(5))).toBe("05");
    expect(hex(encodeSequence(5))).toBe("05");
  });

  it.each<[ChangeKind, ChangeCause | undefined, string]>([
    ["created", undefined, "10"],
    ["updated", "copied", "3100"],
    ["removed", "assembled", "3201"],
    ["renamed", "hidden", "3302"],
    ["created", "uncovered", "3003"],
    ["created", "tagged", "3004"],
    ["created", "untagged", "3005"],
    ["created", "labelled", "3006"],
    ["created", "expired", "3007"],
  ])("of a change that is %s, because it was %s", (kind, cause, expected) => {
    const change: Change = {
      kind,
      path: "p" as FilePath,
      inode: INODE,
      versionId: "v" as VersionId,
      atMs: 4,
      ...(cause === undefined ? {} : { cause }),
    };
    const row = `${expected.slice(0, 2)}0807017001${text("v")}${expected.slice(2)}`;
    expect(hex(encodeChange(change))).toBe(row);
    expect(decodeChange(Buffer.from(row, "hex"))).toEqual(change);
  });

  it("of a change without a version, and from where", () => {
    const change: Change = { kind: "renamed", path: "b" as FilePath, from: "a" as FilePath, inode: INODE, atMs: 4 };
    expect(hex(encodeChange(change))).toBe(`0b080701${text("b")}01${text("a")}`);
    expect(decodeChange(encodeChange(change))).toEqual(change);
  });

  it.each([
    ["a marker with an owner", { versioned: true, owner: "o" }, `07017608016f`],
    ["a marker", { versioned: false }, "01017608"],
    ["an older version", { versioned: true, inode: INODE }, "0201760807"],
    ["an older version that is null", { versioned: false, inode: INODE }, "0001760807"],
  ])("of the history: %s", (_what, part, expected) => {
    const row = { directory: 5 as Inode, name: "p", sequence: 6, versionId: "v" as VersionId, createdMs: 4, ...part };
    expect(hex(encodeHistory(row))).toBe(expected);
    expect(decodeHistory(historyKey(row, 6), Buffer.from(expected, "hex"))).toEqual(row);
  });

  it("of parts", () => {
    const parts = [
      { partNumber: 1, sizeBytes: 2, checksum: "AQID" },
      { partNumber: 3, sizeBytes: 4 },
    ];
    expect(hex(encodeVersionParts(parts))).toBe("0201010203010203000304");
    expect(decodeVersionParts(encodeVersionParts(parts))).toEqual(parts);
  });

  it.each([
    ["entry", decodeEntry, "0007"],
    ["owner", decodeOwner, "070176"],
    ["tombstone", (bytes: Uint8Array) => decodeTombstone("a" as FilePath, bytes), "1201760000"],
    ["number", decodeNumber, "05"],
    ["sequence", decodeSequence, "05"],
    ["change", decodeChange, "0008070170"],
    [
      "history",
      (bytes: Uint8Array) => decodeHistory(historyKey({ directory: 5 as Inode, name: "p" }, 1), bytes),
      "01017608",
    ],
    ["parts", decodeVersionParts, "00"],
    ["bucket", (bytes: Uint8Array) => decodeBucket("b", bytes), `0200070202${text("[]")}`],
  ])("of an %s are damaged when bytes lie behind their end", (_what, decode, row) => {
    expect(() => decode(Buffer.from(row, "hex"))).not.toThrow();
    expect(() => decode(Buffer.from(`${row}00`, "hex"))).toThrow(expect.objectContaining(damaged));
  });

  it.each([
    ["an entry of an unknown kind", decodeEntry, "0707"],
    ["a change of an unknown kind", decodeChange, "0408070170"],
    ["a change of an unknown cause", decodeChange, "200807017008"],
    ["a bucket in another format", (bytes: Uint8Array) => decodeBucket("b", bytes), `0100070202${text("[]")}`],
    ["a bucket of unknown versioning", (bytes: Uint8Array) => decodeBucket("b", bytes), `0203070202${text("[]")}`],
    ["rules of a bucket in another format", decodeRules, `0100070202${text("[]")}`],
    ["rules that are no list", (bytes: Uint8Array) => decodeBucket("b", bytes), `0200070202${text("{}")}`],
    ["rules that are no JSON", (bytes: Uint8Array) => decodeBucket("b", bytes), `0200070202${text("[x")}`],
  ])("of %s are damaged", (_what, decode, row) => {
    expect(() => decode(Buffer.from(row, "hex"))).toThrow(expect.objectContaining(damaged));
  });
});

describe("the row of a bucket", () => {
  const plain: BucketSettings = { name: "b", createdMs: 1, versioning: "off", objectLock: false, lifecycle: [] };
  const rules = [{ id: "r", enabled: true, filter: {}, expireAfterDays: 1 }];

  it.each<[string, BucketSettings, string]>([
    ["without anything", plain, `0200070202${text("[]")}`],
    ["that keeps versions", { ...plain, versioning: "enabled" }, `0201070202${text("[]")}`],
    ["that kept versions", { ...plain, versioning: "suspended" }, `0202070202${text("[]")}`],
    ["with an owner", { ...plain, owner: "o" }, `02200702016f02${text("[]")}`],
    [
      "with locks in governance mode",
      { ...plain, versioning: "enabled", objectLock: true, defaultRetention: { mode: "governance", days: 3 } },
      `020d03070202${text("[]")}`,
    ],
    [
      "with locks in compliance mode",
      { ...plain, versioning: "enabled", objectLock: true, defaultRetention: { mode: "compliance", days: 3 } },
      `021d03070202${text("[]")}`,
    ],
    [
      "with rules",
      { ...plain, lifecycle: rules },
      `02000702${Buffer.from([JSON.stringify(rules).length]).toString("hex")}${text(JSON.stringify(rules))}`,
    ],
  ])("%s", (_what, settings, expected) => {
    const { name, ...row } = settings;
    expect(hex(encodeBucket({ ...row, documentsOf: 7 as Inode }))).toBe(expected);
    expect(decodeBucket(name, Buffer.from(expected, "hex"))).toEqual(settings);
    const { versioning, objectLock, defaultRetention } = settings;
    expect(decodeRules(Buffer.from(expected, "hex"))).toEqual({
      versioning,
      objectLock,
      ...(defaultRetention === undefined ? {} : { defaultRetention }),
    });
  });
});

describe("numbers and texts in rows", () => {
  it.each<[number, string]>([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [2 ** 31, "8080808008"],
    [2 ** 32 - 1, "ffffffff0f"],
    [2 ** 32, "8080808010"],
    [2 ** 32 + 1, "8180808010"],
    [Number.MAX_SAFE_INTEGER, "ffffffffffffff0f"],
  ])("%i is %s", (value, expected) => {
    const row = new RowWriter();
    row.count(value);
    expect(hex(row.finish())).toBe(expected);
    expect(new RowReader(Buffer.from(expected, "hex")).count()).toBe(value);
  });

  it.each<[number, string]>([
    [0, "00"],
    [1, "02"],
    [-1, "01"],
    [-2, "03"],
    [0.6, "02"],
    [-64, "7f"],
  ])("the time %f is %s", (valueMs, expected) => {
    const row = new RowWriter();
    row.time(valueMs);
    expect(hex(row.finish())).toBe(expected);
    expect(new RowReader(Buffer.from(expected, "hex")).time()).toBe(Math.round(valueMs));
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])("%d is none", (value) => {
    expect(() => {
      new RowWriter().count(value);
    }).toThrow(expect.objectContaining({ code: "Internal" }));
  });

  it.each(["ffffffffffffff7f", "8080808080808080", "808080808080808001"])("%s is larger than any", (row) => {
    expect(() => new RowReader(Buffer.from(row, "hex")).count()).toThrow(expect.objectContaining(damaged));
  });

  it("are as long as they are, and rows may be put together at the same time", () => {
    const [one, other] = [new RowWriter(), new RowWriter()];
    const long = "é".repeat(70_000);
    one.text("a");
    other.text(long);
    one.text("b");
    other.byte(7);
    expect(hex(one.finish())).toBe("01610162");
    const read = new RowReader(new Uint8Array(other.finish()));
    expect(read.text()).toBe(long);
    expect(read.byte()).toBe(7);
    read.end();
  });

  it("can be stepped over, and not past the end", () => {
    const row = new RowWriter();
    row.count(300);
    row.text("abc");
    row.hex("00ff");
    row.byte(9);
    const bytes = row.finish();
    const read = new RowReader(bytes);
    read.skipCount();
    read.skipText();
    expect(read.hex(2)).toBe("00ff");
    expect(() => {
      read.skip(2);
    }).toThrow(expect.objectContaining(damaged));
    read.skip(1);
    read.end();
    expect(() => read.byte()).toThrow(expect.objectContaining(damaged));
  });
});
