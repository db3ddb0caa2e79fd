import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeName, encodeName, nameBytes } from "./names.ts";

test("any bytes survive the way into a string and back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (array) => {
      const bytes = Buffer.from(array);
      const name = decodeName(bytes, 0, bytes.length);
      expect(nameBytes(name)).toBe(bytes.length);
      const back = Buffer.alloc(bytes.length);
      expect(encodeName(name, back, 0)).toBe(bytes.length);
      expect(back.equals(bytes)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("UTF-8 is text, and different bytes are different names", () => {
  const decode = (bytes: number[]): string => decodeName(Buffer.from(bytes), 0, bytes.length);
  expect(decode([...Buffer.from("größe \u{1f4be} \u{fffd}")])).toBe("größe \u{1f4be} \u{fffd}");
  expect(decode([0x61, 0xff])).not.toBe(decode([0x61, 0xfe]));
});
