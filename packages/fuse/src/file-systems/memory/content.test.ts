import fc from "fast-check";
import { expect, test } from "vitest";
import { Budget, SparseContent } from "./content.ts";

const LIMIT_BYTES = 300_000;

test("behaves as an array of bytes, with its memory accounted for to the byte", () => {
  const at = fc.nat(LIMIT_BYTES / 2);
  const length = fc.nat(LIMIT_BYTES / 3);
  const step = fc.record({
    kind: fc.constantFrom(
      "write" as const,
      "truncate" as const,
      "punch" as const,
      "clear" as const,
      "allocate" as const,
    ),
    at,
    length: fc.oneof(length, fc.nat(700)),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const budget = new Budget(10_000_000);
      const content = new SparseContent(budget);
      let model = Buffer.alloc(0);
      const grow = (sizeBytes: number): void => {
        if (sizeBytes > model.length) model = Buffer.concat([model, Buffer.alloc(sizeBytes - model.length)]);
      };
      for (const { kind, at, length, byte } of steps) {
        const end = at + length;
        if (kind === "write") {
          expect(content.write(Buffer.alloc(length, byte), at)).toBe(length);
          // Writing nothing behind the end does not make a file longer.
          if (length > 0) {
            grow(end);
            model.fill(byte, at, end);
          }
        } else if (kind === "truncate") {
          content.truncate(at);
          grow(at);
          model = model.subarray(0, at);
        } else if (kind === "allocate") {
          if (length > 0) expect(content.allocate(at, length)).toBe(true);
        } else {
          content[kind](at, length);
          if (at < model.length) model.fill(0, at, Math.min(end, model.length));
        }
        expect(budget.usedBytes).toBe(content.allocatedBytes);
      }
      const into = Buffer.alloc(model.length + 100, 7);
      expect(content.read(into, 0)).toBe(model.length);
      expect(into.subarray(0, model.length).equals(model)).toBe(true);
      content.truncate(0);
      expect(budget.usedBytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("knows its holes", () => {
  const content = new SparseContent(new Budget(1_000_000));
  content.write(Buffer.from("data"), 200_000);
  content.truncate(500_000);
  expect(content.nextData(0)).toBe(196_608);
  expect(content.nextHole(196_608)).toBe(262_144);
  expect(content.nextData(262_144)).toBeUndefined();
  expect(content.nextHole(300_000)).toBe(300_000);
  expect(content.nextHole(500_000)).toBeUndefined();
});

test("writes what there is room for", () => {
  const content = new SparseContent(new Budget(65_536));
  expect(content.write(Buffer.alloc(100_000, 1), 0)).toBe(65_536);
  expect(content.write(Buffer.from("more"), 65_536)).toBe(0);
  expect(content.allocate(0, 100_000)).toBe(false);
  expect(content.sizeBytes).toBe(65_536);
});

test("reads zeros from behind the memory of a block that is shorter than what is asked for", () => {
  const content = new SparseContent(new Budget(1_000_000));
  content.write(Buffer.from("x"), 0);
  content.truncate(100_000);
  const into = Buffer.alloc(4096, 7);
  expect(content.read(into, 8192)).toBe(4096);
  expect(into.equals(Buffer.alloc(4096))).toBe(true);
});
