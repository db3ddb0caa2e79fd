import { NVME_POLYNOMIAL } from "./crc64-nvme.ts";

/**
 * The CRC of a whole from those of its pieces. Appending n zero bytes multiplies a CRC by x^8n modulo the polynomial, and presets and
 * final inversions cancel out, so the sum of two pieces is the first one's, multiplied so, plus the second one's. Polynomials are
 * reflected: the coefficient of x^0 is the highest bit. Numbers are pairs of 32-bit halves; sums of 32 bits use the low half alone.
 */
interface Field {
  readonly bits: 32 | 64;
  readonly low: number;
  readonly high: number;
  /** x to the power of 8, 16, 32, ...: by how much the n-th bit of a length shifts. */
  readonly powers: Pair[];
}

interface Pair {
  readonly low: number;
  readonly high: number;
}

const fields: Readonly<Record<"CRC32" | "CRC32C" | "CRC64NVME", Field>> = {
  CRC32: { bits: 32, low: 0xedb88320 | 0, high: 0, powers: [] },
  CRC32C: { bits: 32, low: 0x82f63b78 | 0, high: 0, powers: [] },
  CRC64NVME: { bits: 64, ...NVME_POLYNOMIAL, powers: [] },
};

interface SummedPiece {
  /** Most significant byte first. */
  readonly sum: Uint8Array;
  readonly sizeBytes: number;
}

export function combineCrcs(algorithm: keyof typeof fields, pieces: readonly SummedPiece[]): Buffer {
  const field = fields[algorithm];
  // Parts mostly have the same size, and a large upload has thousands of them.
  let lastBytes = -1;
  let factor: Pair = { low: 0, high: 0 };
  let whole: Pair = { low: 0, high: 0 };
  for (const { sum, sizeBytes } of pieces) {
    if (sizeBytes !== lastBytes) factor = shiftOf(field, sizeBytes);
    lastBytes = sizeBytes;
    const shifted = multiply(field, whole, factor);
    const piece = pairOf(field, sum);
    whole = { low: shifted.low ^ piece.low, high: shifted.high ^ piece.high };
  }
  return bytesOf(field, whole);
}

/** Of two sums of 32 bits, the second one of so many bytes. */
export function joinerOf(algorithm: "CRC32" | "CRC32C", sizeBytes: number): (one: number, other: number) => number {
  const field = fields[algorithm];
  const factor = shiftOf(field, sizeBytes);
  return (one, other) => (multiply(field, { low: one | 0, high: 0 }, factor).low ^ other) >>> 0;
}

/** x to the power of eight times the length. */
function shiftOf(field: Field, sizeBytes: number): Pair {
  let result = powerOfX(field, 0);
  let left = sizeBytes;
  for (let bit = 0; left > 0; bit++) {
    if (left % 2 === 1) result = multiply(field, result, powerAt(field, bit));
    left = Math.floor(left / 2);
  }
  return result;
}

function powerAt(field: Field, bit: number): Pair {
  for (let next = field.powers.length; next <= bit; next++) {
    const before = field.powers[next - 1];
    field.powers.push(before === undefined ? powerOfX(field, 8) : multiply(field, before, before));
  }
  return field.powers[bit] as Pair;
}

/** For exponents below 32. */
function powerOfX(field: Field, exponent: number): Pair {
  const half = 1 << (31 - exponent);
  return field.bits === 32 ? { low: half, high: 0 } : { low: 0, high: half };
}

function multiply(field: Field, one: Pair, other: Pair): Pair {
  let low = 0;
  let high = 0;
  let otherLow = other.low;
  let otherHigh = other.high;
  for (let bit = field.bits - 1; bit >= 0; bit--) {
    const isSet = bit >= 32 ? (one.high >>> (bit - 32)) & 1 : (one.low >>> bit) & 1;
    if (isSet === 1) {
      low ^= otherLow;
      high ^= otherHigh;
    }
    const odd = otherLow & 1;
    otherLow = (otherLow >>> 1) | (otherHigh << 31);
    otherHigh >>>= 1;
    if (odd === 1) {
      otherLow ^= field.low;
      otherHigh ^= field.high;
    }
  }
  return { low, high };
}

function pairOf(field: Field, sum: Uint8Array): Pair {
  const bytes = Buffer.from(sum.buffer, sum.byteOffset, sum.byteLength);
  return field.bits === 32
    ? { low: bytes.readInt32BE(0), high: 0 }
    : { low: bytes.readInt32BE(4), high: bytes.readInt32BE(0) };
}

function bytesOf(field: Field, { low, high }: Pair): Buffer {
  const bytes = Buffer.allocUnsafe(field.bits / 8);
  bytes.writeInt32BE(low, bytes.length - 4);
  if (field.bits === 64) bytes.writeInt32BE(high, 0);
  return bytes;
}
