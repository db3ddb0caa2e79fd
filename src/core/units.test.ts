import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, formatSize, parseDurationMs, parseSizeBytes } from "./units.ts";

describe("durations", () => {
  it.each([
    ["0", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["2d", 172_800_000],
    ["500us", 0.5],
  ])("reads %s as %d ms", (text, expected) => {
    expect(parseDurationMs(text)).toBe(expected);
  });

  it.each(["", "30", "s", "-5s", "5 parsecs", "1m 30", "1e3s", "5s!"])(
    "refuses %j with a sentence that names a right one",
    (text) => {
      expect(() => parseDurationMs(text)).toThrow(/30s/);
    },
  );

  it("writes what it reads back as the same duration", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * 86_400_000 }), (durationMs) => {
        expect(parseDurationMs(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });
});

describe("sizes", () => {
  it.each([
    ["4096", 4_096],
    ["64MiB", 67_108_864],
    ["64mib", 67_108_864],
    ["1GB", 1_000_000_000],
    ["1.5k", 1_536],
    ["2 TiB", 2 * 1024 ** 4],
    ["0", 0],
  ])("reads %s as %d bytes", (text, expected) => {
    expect(parseSizeBytes(text)).toBe(expected);
  });

  it.each(["", "-1", "12 parsecs", "1e9", "9999PiB", "0x10", "1..2MB"])("refuses %j", (text) => {
    expect(() => parseSizeBytes(text)).toThrow(/size/);
  });

  it.each([
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_536, "1.50 KiB"],
    [64 * 1024 ** 2, "64.0 MiB"],
    [500 * 1024 ** 3, "500 GiB"],
  ])("shows %d as %s", (sizeBytes, expected) => {
    expect(formatSize(sizeBytes)).toBe(expected);
  });
});
