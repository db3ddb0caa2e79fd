import { describe, expect, test } from "vitest";
import type { GfsError } from "../core/errors.ts";
import {
  afterPrefix,
  compareBytes,
  decodeKey,
  encodeKey,
  keyAfter,
  prefixRange,
  tail,
  type PartShape,
} from "./tuple.ts";

const bytes = (...values: (number | string)[]): Uint8Array =>
  Buffer.concat(values.map((value) => (typeof value === "number" ? Buffer.from([value]) : Buffer.from(value))));
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as GfsError).code;
  }
  return "none";
};

describe("keys of several parts", () => {
  test("are the space, a zero byte, eight bytes a number, strings that end with a zero byte, and a tail", () => {
    const key = encodeKey("r", 2 ** 32 + 5, "é", 255, tail("a\u{1F600}"));
    expect(Buffer.from(key)).toEqual(
      Buffer.concat([
        bytes("r", 0),
        bytes(0, 0, 0, 1, 0, 0, 0, 5),
        bytes("é", 0),
        bytes(0, 0, 0, 0, 0, 0, 0, 255),
        bytes("a\u{1F600}"),
      ]),
    );
    expect(decodeKey(key, ["number", "string", "number", "tail"])).toEqual([2 ** 32 + 5, "é", 255, "a\u{1F600}"]);
    expect(decodeKey(encodeKey("space"), [])).toEqual([]);
    expect(decodeKey(encodeKey("s", "", tail("")), ["string", "tail"])).toEqual(["", ""]);
  });

  test("sort as their parts do", () => {
    const ordered = [
      encodeKey("a", 0),
      encodeKey("a", 1),
      encodeKey("a", 256),
      encodeKey("a", 2 ** 32),
      encodeKey("a", 2 ** 53 - 1),
      encodeKey("ab", 0),
    ];
    expect(ordered.toSorted(compareBytes)).toEqual(ordered);
    expect(compareBytes(encodeKey("s", "a"), encodeKey("s", "ab"))).toBeLessThan(0);
  });

  test("take whole numbers from 0 to 2^53 - 1 and no others", () => {
    for (const number of [0, 2 ** 53 - 1]) expect(decodeKey(encodeKey("n", number), ["number"])).toEqual([number]);
    for (const number of [-1, 0.5, 2 ** 53, Number.NaN]) expect(codeOf(() => encodeKey("n", number))).toBe("Internal");
  });

  test("of another shape are corrupt, however they differ", () => {
    const odd: [Uint8Array, PartShape[]][] = [
      [bytes("space without an end"), []],
      [bytes("s", 0, 1, 2, 3, 4, 5, 6, 7), ["number"]],
      [bytes("s", 0, "no end"), ["string"]],
      [bytes("s", 0, "a", 0, "more"), ["string"]],
      [bytes("s", 0, 1), []],
      [encodeKey("s", 1, 2), ["number"]],
      [bytes("s", 0), ["string"]],
    ];
    for (const [key, shape] of odd)
      expect(
        codeOf(() => decodeKey(key, shape)),
        Buffer.from(key).toString(),
      ).toBe("DataCorrupt");
  });

  test("are read where they lie in a larger buffer", () => {
    const around = Buffer.concat([Buffer.from("before"), encodeKey("k", 7), Buffer.from("after")]);
    expect(decodeKey(around.subarray(6, -5), ["number"])).toEqual([7]);
  });
});

describe("ranges of keys", () => {
  test("with a prefix end before the first key without it", () => {
    expect(Buffer.from(afterPrefix(bytes("ab")))).toEqual(bytes("ac"));
    expect(Buffer.from(afterPrefix(bytes("a", 0xff, 0xff)))).toEqual(bytes("b"));
    expect(Buffer.from(afterPrefix(bytes(0xfe, 0xff)))).toEqual(bytes(0xff));
    expect(prefixRange(bytes("p"))).toEqual({ start: bytes("p"), end: bytes("q") });
    expect(codeOf(() => afterPrefix(bytes(0xff, 0xff)))).toBe("Internal");
  });

  test("after a key begin with the very next one, and leave the key as it was", () => {
    const key = bytes("k");
    expect(Buffer.from(keyAfter(key))).toEqual(bytes("k", 0));
    expect(key).toEqual(bytes("k"));
    const prefix = bytes("ab");
    afterPrefix(prefix);
    expect(prefix).toEqual(bytes("ab"));
  });
});
