import { describe, expect, it } from "vitest";
import type { DiskStat } from "../../../core/ports/disk.ts";
import { decodeRecord, describeObject, encodeRecord, makeRecord } from "./object-record.ts";

const STAT = { kind: "file", sizeBytes: 5, modifiedNs: "1500000000", modifiedMs: 1_500, identity: "1-2-3" } as DiskStat;
const SHA256 = "0123456789abcdef".repeat(4);

describe("what is kept with an object's file", () => {
  it.each([
    ["all of it", { sha256: SHA256, contentType: "text/plain", metadata: { a: "1", "": "é" } }],
    ["nothing but that it is ours", { metadata: {} }],
  ])("is read back as it was written: %s", (_what, attributes) => {
    const record = makeRecord(attributes, STAT);
    expect(record).toEqual({
      ...attributes,
      etag: record.etag,
      sizeBytes: 5,
      modifiedNs: "1500000000",
    });
    expect(decodeRecord(encodeRecord(record), STAT)).toEqual(record);
    expect(describeObject("k", STAT, record)).toEqual({
      ...attributes,
      key: "k",
      etag: record.etag,
      sizeBytes: 5,
      modifiedMs: 1_500,
    });
  });

  it("has an etag that equal content shares where its checksum is known, and that nothing shares elsewhere", () => {
    const etag = (sha256?: string): string => makeRecord({ sha256, metadata: {} }, STAT).etag;
    expect([etag(SHA256), etag(SHA256)]).toEqual([SHA256.slice(0, 32), SHA256.slice(0, 32)]);
    expect([etag(), etag(SHA256), etag()].map((each) => each.length)).toEqual([32, 32, 32]);
    expect(etag()).not.toBe(etag());
  });

  it("speaks of the file only while that has the size and the time that it had", () => {
    const bytes = encodeRecord(makeRecord({ metadata: {} }, STAT));
    expect(decodeRecord(bytes, { ...STAT, sizeBytes: 6 })).toBeUndefined();
    expect(decodeRecord(bytes, { ...STAT, modifiedNs: "1500000001" })).toBeUndefined();
    expect(decodeRecord(bytes, { ...STAT, identity: "elsewhere", modifiedMs: 0 })).toBeDefined();
  });

  it("is nothing where there is none, and where it is not one of ours", () => {
    const row = { v: 1, e: "etag", s: 5, n: "1500000000" };
    const decoded = (text: string): unknown => decodeRecord(Buffer.from(text), STAT);
    expect(decodeRecord(undefined, STAT)).toBeUndefined();
    for (const odd of ["", "{", "null", "[]", '"v"', "1"]) expect(decoded(odd), odd).toBeUndefined();
    for (const other of [{ v: 2 }, { v: undefined }, { e: 7 }, { e: undefined }])
      expect(decoded(JSON.stringify({ ...row, ...other }))).toBeUndefined();
    // What else is odd in it is left out.
    expect(decoded(JSON.stringify({ ...row, h: 7, t: {}, m: { a: "1", b: 2 } }))).toEqual({
      etag: "etag",
      metadata: { a: "1" },
      sizeBytes: 5,
      modifiedNs: "1500000000",
    });
    for (const m of [null, 7, "text"]) expect(decoded(JSON.stringify({ ...row, m }))).toMatchObject({ metadata: {} });
  });

  it("of a file without any is what its place and its times say", () => {
    expect(describeObject("k", STAT, undefined)).toEqual({
      key: "k",
      etag: "file-1-2-3",
      sizeBytes: 5,
      modifiedMs: 1_500,
      metadata: {},
    });
  });
});
