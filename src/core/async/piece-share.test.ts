import { expect, it } from "vitest";
import { giveBack, PieceShare } from "./piece-share.ts";

it("Pieces shrink as streams come, down to the least, and grow again as they go", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  expect(share.pieceBytes).toBe(512);
  const leave = Array.from({ length: 3 }, () => share.enter());
  expect(share.pieceBytes).toBe(256);
  for (let stream = 0; stream < 97; stream++) leave.push(share.enter());
  expect(share.pieceBytes).toBe(64);
  for (const each of leave) {
    each();
    each();
  }
  expect(share.pieceBytes).toBe(512);
});

it("A piece that was given back is lent again, once, and only what was lent is taken back", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  const piece = share.lend(512);
  giveBack(piece.subarray(0, 512));
  giveBack(Buffer.alloc(512));
  const other = share.lend(512);
  expect(other).not.toBe(piece);
  giveBack(piece);
  giveBack(piece);
  expect(share.lend(512)).toBe(piece);
  expect(share.lend(512)).not.toBe(piece);
});

it("No more is kept spare than the budget, and the oldest goes first", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  const pieces = Array.from({ length: 3 }, () => share.lend(512));
  for (const piece of pieces) giveBack(piece);
  const lent = Array.from({ length: 3 }, () => share.lend(512));
  expect(lent.map((piece) => pieces.indexOf(piece))).toEqual([2, 1, -1]);
  const small = share.lend(32);
  giveBack(small);
  expect(share.lend(32)).not.toBe(small);
});

it("Pieces are as large as the budget allows to the byte", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  const leave = [share.enter(), share.enter()];
  expect(share.pieceBytes).toBe(512);
  leave.push(share.enter(), share.enter());
  expect(share.pieceBytes).toBe(256);
  leave.push(share.enter());
  expect(share.pieceBytes).toBe(128);
});

it("Only whole fractions of the largest size, down to the least, are lent and taken back", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  for (const [sizeBytes, again] of [
    [512, true],
    [64, true],
    [128, true],
    [32, false],
    [96, false],
    [1_024, false],
  ] as const) {
    const piece = share.lend(sizeBytes);
    expect(piece.length).toBe(sizeBytes);
    giveBack(piece);
    expect(share.lend(sizeBytes) === piece, `${sizeBytes}`).toBe(again);
  }
});

it("What is lent again is no longer counted as spare", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  const [one, other] = [share.lend(512), share.lend(512)];
  giveBack(one);
  giveBack(other);
  for (let round = 0; round < 3; round++) {
    const pieces = [share.lend(512), share.lend(512)];
    expect(new Set(pieces)).toEqual(new Set([one, other]));
    for (const piece of pieces) giveBack(piece);
  }
  const small = share.lend(64);
  giveBack(small);
  // Nothing but the oldest had to go for it.
  expect(share.lend(64)).toBe(small);
  expect([one, other]).toContain(share.lend(512));
  expect([one, other]).not.toContain(share.lend(512));
});

it("A stream that leaves twice is taken off once", () => {
  const share = new PieceShare({ totalBytes: 1_024, leastBytes: 64, mostBytes: 512 });
  const leave = Array.from({ length: 4 }, () => share.enter());
  for (let time = 0; time < 3; time++) leave[0]?.();
  expect(share.pieceBytes).toBe(256);
  leave[1]?.();
  expect(share.pieceBytes).toBe(512);
});
