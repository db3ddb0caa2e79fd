import { describe, expect, it } from "vitest";
import type { Inode } from "../core/ids.ts";
import { isSameMoment, laterOf, type Moment, momentOf } from "../core/moment.ts";
import { decodeAttributes, decodeMoment, encodeAttributes, encodeMoment } from "./attributes-codec.ts";
import type { FileAttributes } from "./types.ts";

/** A catalog that an older release wrote has to be read by this one: here is what lies in it, byte for byte, as `docs/formats.md` draws it. */

const INODE = 7 as Inode;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const text = (value: string): string => Buffer.from(value).toString("hex");
const at = (ms: number, ns = 0): Moment => ({ ms, ns });
const damaged = expect.objectContaining({ code: "DataCorrupt" });

const bare: FileAttributes = {
  inode: INODE,
  kind: "file",
  mode: 1,
  uid: 2,
  gid: 3,
  linkCount: 4,
  sizeBytes: 0,
  accessed: at(-6),
  modified: at(-6),
  changed: at(7),
  created: at(7),
};
const OWNERS = "01020304";
const TIMES = "050b0e";

describe("the row of an inode's attributes", () => {
  it.each<[string, FileAttributes, string]>([
    ["a file", { ...bare, sizeBytes: 9 }, `0100${OWNERS}${TIMES}09`],
    ["a directory", { ...bare, kind: "directory" }, `0101${OWNERS}${TIMES}`],
    [
      "a directory that is implicit and hangs somewhere",
      { ...bare, kind: "directory", implicit: true, parent: { inode: 8 as Inode, name: "p" } },
      `0119${OWNERS}${TIMES}0801${text("p")}`,
    ],
    [
      "a symbolic link",
      { ...bare, kind: "symlink", target: "to", sizeBytes: 2 },
      `0102${OWNERS}${TIMES}02${text("to")}`,
    ],
    [
      "a file with extended attributes",
      { ...bare, extended: { count: 2, sizeBytes: 300 } },
      `0120${OWNERS}${TIMES}0002ac02`,
    ],
    ["a file with an epoch of writing", { ...bare, writeEpoch: 300 }, `0140${OWNERS}${TIMES}00ac02`],
    ["a named pipe", { ...bare, kind: "fifo" }, `0103${OWNERS}${TIMES}`],
    ["a socket", { ...bare, kind: "socket" }, `0104${OWNERS}${TIMES}`],
    ["a character device", { ...bare, kind: "characterDevice", rdev: 259 }, `0105${OWNERS}${TIMES}8302`],
    ["a block device", { ...bare, kind: "blockDevice", rdev: 0 }, `0106${OWNERS}${TIMES}00`],
    [
      "a file whose times are one, with nanoseconds",
      { ...bare, accessed: at(1, 5), modified: at(1, 5), changed: at(1, 5), created: at(1, 5) },
      `0100${OWNERS}0f020500`,
    ],
    [
      "a file whose times are all others, with and without nanoseconds",
      { ...bare, accessed: at(1, 300), modified: at(2), changed: at(3, 999_999), created: at(-1) },
      `0100${OWNERS}300402ac0206bf843d0100`,
    ],
    [
      "a file whose times differ in nanoseconds only",
      { ...bare, accessed: at(1, 1), modified: at(1), changed: at(1), created: at(1, 2) },
      `0100${OWNERS}52020201020200`,
    ],
  ])("of %s", (_what, attributes, expected) => {
    expect(hex(encodeAttributes(attributes))).toBe(expected);
    expect(decodeAttributes(INODE, Buffer.from(expected, "hex"))).toEqual(attributes);
  });

  it.each([
    ["another format", `0200${OWNERS}${TIMES}09`],
    ["an unknown kind", `0107${OWNERS}${TIMES}`],
    ["bytes behind its end", `0100${OWNERS}${TIMES}0900`],
    ["more nanoseconds than a millisecond has", `0100${OWNERS}0f02c0843d00`],
  ])("with %s is damaged", (_what, row) => {
    expect(() => decodeAttributes(INODE, Buffer.from(row, "hex"))).toThrow(damaged);
  });

  it("of a directory has another beside it, that tells when an entry last came or went", () => {
    expect(hex(encodeMoment(at(1)))).toBe("0002");
    expect(hex(encodeMoment(at(-1, 300)))).toBe("0101ac02");
    for (const moment of [at(1), at(-1, 300)]) expect(decodeMoment(encodeMoment(moment))).toEqual(moment);
    expect(() => decodeMoment(Buffer.from("000200", "hex"))).toThrow(damaged);
  });
});

describe("moments", () => {
  it("are whole milliseconds and what is left in nanoseconds", () => {
    expect(momentOf(1.6)).toEqual({ ms: 2, ns: 0 });
    expect([isSameMoment(at(1, 2), at(1, 2)), isSameMoment(at(1, 2), at(1, 3)), isSameMoment(at(1), at(2))]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("are in the order of time", () => {
    for (const [earlier, later] of [
      [at(-2, 999_999), at(-1)],
      [at(-1), at(-1, 1)],
      [at(5, 9), at(6)],
    ] as const) {
      expect(laterOf(earlier, later)).toBe(later);
      expect(laterOf(later, earlier)).toBe(later);
    }
  });
});
