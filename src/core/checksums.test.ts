import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ChecksumName,
  combineChecksums,
  compositeChecksum,
  createChecksum,
  isChecksumValue,
  isCombinable,
} from "./checksums.ts";

const ALGORITHMS: readonly ChecksumName[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

function sumOf(algorithm: ChecksumName, ...chunks: readonly Uint8Array[]): string {
  const sum = createChecksum(algorithm);
  for (const chunk of chunks) sum.update(chunk);
  return sum.digest();
}

describe("checksums", () => {
  it.each([
    ["CRC32", "cbf43926"],
    ["CRC32C", "e3069283"],
    ["CRC64NVME", "ae8b14860a799888"],
    ["SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"],
    ["SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"],
  ] as const)("%s has the published check value", (algorithm, hex) => {
    expect(Buffer.from(sumOf(algorithm, Buffer.from("123456789")), "base64").toString("hex")).toBe(hex);
  });

  it("have the CRC-64 values that NVM Express publishes", () => {
    const hex = (bytes: Uint8Array): string => Buffer.from(sumOf("CRC64NVME", bytes), "base64").toString("hex");
    expect(hex(Buffer.alloc(4_096))).toBe("6482d367eb22b64e");
    expect(hex(Buffer.alloc(4_096, 0xff))).toBe("c0ddba7302eca3ac");
    expect(hex(Buffer.from(Array.from({ length: 4_096 }, (_, index) => index & 255)))).toBe("3e729f5f6750449c");
  });

  it("do not depend on how the bytes are cut, nor on where they lie in memory", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ALGORITHMS),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        (algorithm, bytes, at) => {
          const cut = at % (bytes.length + 1);
          const moved = Buffer.concat([Buffer.alloc(3), bytes]).subarray(3);
          expect(sumOf(algorithm, moved.subarray(0, cut), moved.subarray(cut))).toBe(sumOf(algorithm, bytes));
        },
      ),
    );
  });

  it("of parts make that of the whole", () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom(...ALGORITHMS), pieces, (algorithm, chunks) => {
        if (!isCombinable(algorithm)) return;
        const parts = chunks.map((chunk) => ({ value: sumOf(algorithm, chunk), sizeBytes: chunk.length }));
        expect(combineChecksums(algorithm, parts)).toBe(sumOf(algorithm, ...chunks));
      }),
    );
  });

  it("combine for parts of many gigabytes", () => {
    const zeros = (exponent: number) => {
      // A part of 2^n zero bytes is two of half its size.
      let value = sumOf("CRC64NVME", Buffer.alloc(1));
      for (let bit = 0; bit < exponent; bit++) {
        const half = { value, sizeBytes: 2 ** bit };
        value = combineChecksums("CRC64NVME", [half, half]);
      }
      return { value, sizeBytes: 2 ** exponent };
    };
    const [small, large] = [zeros(12), zeros(35)];
    expect(Buffer.from(small.value, "base64").toString("hex")).toBe("6482d367eb22b64e");
    const text = { value: sumOf("CRC64NVME", Buffer.from("x")), sizeBytes: 1 };
    const inSteps = combineChecksums("CRC64NVME", [
      { value: combineChecksums("CRC64NVME", [text, large]), sizeBytes: 2 ** 35 + 1 },
      text,
    ]);
    expect(combineChecksums("CRC64NVME", [text, large, text])).toBe(inSteps);
  });

  it("of checksums say how many there were", () => {
    const values = ["a", "b"].map((text) => sumOf("SHA256", Buffer.from(text)));
    const raw = Buffer.concat(values.map((value) => Buffer.from(value, "base64")));
    expect(compositeChecksum("SHA256", values)).toBe(`${sumOf("SHA256", raw)}-2`);
  });

  it("are told from text that cannot be one", () => {
    expect(isChecksumValue("CRC32", sumOf("CRC32", Buffer.from("x")))).toBe(true);
    for (const text of ["", "AAAA", "AAAAAAA=", "!!!!!!==", "AAAAAB=="])
      expect(isChecksumValue("CRC32", text)).toBe(false);
  });
});
