import { expect, it } from "vitest";
import { PieceShare } from "./piece-share.ts";

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
