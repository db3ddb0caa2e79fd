import { beforeEach, describe, expect, it } from "vitest";
import { Semaphore } from "../../../core/async/semaphore.ts";
import { backgroundCtx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { seededRandom } from "../../../core/ports/random.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { PartBody, PartInfo } from "../../store.ts";
import { exactly, sendPartBody } from "./part-body.ts";

const ctx = backgroundCtx();
const INFO: PartInfo = { partNumber: 1, sizeBytes: 5, etag: "e" };
const MIB = 1024 ** 2;
let budget: Semaphore;
let sent: string[];
beforeEach(() => {
  budget = new Semaphore(16 * MIB);
  sent = [];
});

function body(sizeBytes: number, ...pieces: readonly string[]): PartBody {
  return {
    sizeBytes,
    async *open() {
      for (const piece of pieces) yield Buffer.from(piece);
    },
  };
}

/** A site whose first so many requests fail. */
function send(part: PartBody, fails = 0, failure = away()): Promise<PartInfo> {
  const attempt = async (how: string): Promise<PartInfo> => {
    sent.push(how);
    await Promise.resolve();
    if (sent.length <= fails) throw failure;
    return INFO;
  };
  // Pauses between attempts take no time here.
  const clock = { ...systemClock, sleep: async () => undefined };
  return sendPartBody(
    ctx,
    part,
    { budget, clock, random: seededRandom(1) },
    {
      sendBytes: async (bytes) => await attempt(`bytes ${Buffer.from(bytes).toString()} of ${budget.inUse}`),
      async sendStream() {
        let seen = "";
        for await (const chunk of exactly(part)) seen += Buffer.from(chunk).toString();
        return await attempt(`stream ${seen}`);
      },
    },
  );
}

const away = (): GfsError => new GfsError("Unavailable", "The site is away.", { retry: "safe" });

describe("the body of a part", () => {
  it("is held in memory within the budget while it is sent, as often as it has to be", async () => {
    expect(await send(body(5, "by", "tes"), 2)).toBe(INFO);
    expect([sent, budget.inUse]).toEqual([["bytes bytes of 5", "bytes bytes of 5", "bytes bytes of 5"], 0]);
  });

  it("takes nothing of the budget when it is empty", async () => {
    await send(body(0));
    expect(sent).toEqual(["bytes  of 0"]);
    // Nor does it wait behind others, or go as a stream for them.
    budget.tryAcquire(16 * MIB);
    const waiting = new AbortController();
    const waits = budget.acquire(1, waiting.signal).catch(() => undefined);
    await send(body(0));
    expect(sent.length).toBe(2);
    expect(sent[1]).toMatch(/^bytes /);
    waiting.abort();
    await waits;
  });

  it("gives back what it took when it cannot be sent", async () => {
    const failure = new GfsError("PermissionDenied", "Not you.");
    await expect(send(body(5, "bytes"), 9, failure)).rejects.toBe(failure);
    expect([sent.length, budget.inUse]).toEqual([1, 0]);
  });

  it("is a stream where it is large, or where the budget is used up", async () => {
    const large = "x".repeat(8 * MIB);
    await send(body(8 * MIB, large));
    await send(body(8 * MIB + 1, large, "y"));
    expect(sent.map((how) => how.slice(0, 7))).toEqual(["bytes x", "stream "]);
    budget.tryAcquire(16 * MIB);
    await send(body(5, "bytes"));
    expect(sent.at(-1)).toBe("stream bytes");
  });

  it("that is a stream is sent once more where it can be read once more; else the first failure is the one to tell", async () => {
    budget.tryAcquire(16 * MIB);
    expect(await send(body(5, "bytes"), 1)).toBe(INFO);
    expect(sent.length).toBe(2);
    sent = [];
    let opened = 0;
    const once: PartBody = {
      sizeBytes: 5,
      async *open() {
        opened += 1;
        if (opened === 1) yield Buffer.from("bytes");
      },
    };
    const failure = away();
    await expect(send(once, 9, failure)).rejects.toBe(failure);
    expect([opened, sent.length]).toEqual([2, 1]);
  });

  it.each([
    ["fewer", body(5, "byt", "e")],
    ["more", body(5, "byt", "es!")],
  ])(
    "that has %s bytes than were announced is refused, also in memory, and no byte too many is passed on",
    async (_what, part) => {
      const refused = { code: "IncompleteBody" };
      await expect(send(part)).rejects.toMatchObject(refused);
      expect([sent, budget.inUse]).toEqual([[], 0]);
      let seen = 0;
      const reading = async (): Promise<void> => {
        for await (const chunk of exactly(part)) seen += chunk.byteLength;
      };
      await expect(reading()).rejects.toMatchObject(refused);
      expect(seen).toBeLessThanOrEqual(5);
    },
  );

  it("that cannot be opened fails at once", () => {
    const closed: PartBody = {
      sizeBytes: 1,
      open() {
        throw new Error("It is closed.");
      },
    };
    expect(() => exactly(closed)).toThrow("It is closed.");
  });
});
