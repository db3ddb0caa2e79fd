import { describe, expect, it } from "vitest";
import type { JobId } from "../core/ids.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { ProgressBoard } from "./progress.ts";
import type { Job } from "./types.ts";

const ID = "J1" as JobId;
const JOB = { id: ID, state: "waiting", sizeBytes: 10_000, bytesDone: 0 } as Job;

describe("how far a job is", () => {
  it("is known from the moment it begins until it ends", () => {
    const board = new ProgressBoard(createFakeClock());
    board.add(ID, 5);
    expect([board.bytesOf(ID), board.describe(JOB)]).toEqual([0, JOB]);
    board.begin(ID);
    expect(board.describe(JOB)).toEqual({ ...JOB, state: "running" });
    board.add(ID, 300);
    board.add(ID, 200);
    expect([board.bytesOf(ID), board.describe(JOB)]).toEqual([500, { ...JOB, state: "running", bytesDone: 500 }]);
    expect(board.describe({ ...JOB, state: "paused" })).toEqual({ ...JOB, state: "paused" });
    board.end(ID);
    expect([board.bytesOf(ID), board.describe(JOB)]).toEqual([0, JOB]);
  });

  it("comes with the rate of the last moments and with the time that is left", async () => {
    const clock = createFakeClock();
    const board = new ProgressBoard(clock);
    board.begin(ID);
    // A quarter of a second is looked at, however small the pieces are.
    await clock.advance(100);
    board.add(ID, 600);
    expect(board.describe(JOB).bytesPerSecond).toBeUndefined();
    await clock.advance(150);
    board.add(ID, 400);
    expect(board.describe(JOB)).toMatchObject({ bytesPerSecond: 4_000, etaSeconds: 3 });
    // It slows down: the rate follows, but not at once.
    await clock.advance(1_000);
    board.add(ID, 1_000);
    expect(board.describe(JOB)).toMatchObject({ bytesDone: 2_000, bytesPerSecond: 3_100, etaSeconds: 3 });
    await clock.advance(1_000);
    board.add(ID, 1_000);
    expect(board.describe(JOB)).toMatchObject({ bytesDone: 3_000, bytesPerSecond: 2_470, etaSeconds: 3 });
    // An object that turned out longer than it was said to be.
    board.add(ID, 8_000);
    expect(board.describe(JOB)).toMatchObject({ bytesDone: 11_000, etaSeconds: 0 });
  });
});
